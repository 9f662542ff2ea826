import type { CancelExchange } from '#contracts/cancels.ts';
import type { Certificate } from '#contracts/certificate.ts';
import type { Challenge } from '#contracts/challenge.ts';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { Random } from '#contracts/random.ts';
import type { Address, RouteBus } from '#contracts/route.ts';
import type { Sealer } from '#contracts/sealer.ts';
import type { SessionTicketKey } from './ticket-key.ts';
import type { Collection } from '#contracts/store.ts';
import type { ServingTerms } from './messages.ts';

export interface GatewayPorts {
  readonly routes: RouteBus;
  /** Absent: there is no other gateway. */
  readonly cancels?: CancelExchange;
  readonly certificates: Collection<Certificate>;
  readonly challenges: Collection<Challenge>;
  readonly tickets: Collection<SessionTicketKey>;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface GatewaySettings extends ServingTerms {
  /** This gateway's name on the bus. */
  readonly id: string;
  readonly httpsPort: number;
  readonly workers: number;
  readonly dataDir: string;
  /** Where the API is as well, for when it does not answer at `api`. */
  readonly otherApis?: readonly Address[];
}
