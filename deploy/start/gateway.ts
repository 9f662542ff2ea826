import { certificates } from '#contracts/certificate.ts';
import { challenges } from '#contracts/challenge.ts';
import type { Address } from '#contracts/route.ts';
import { sessionTickets } from '../../gateway/ticket-key.ts';
import type { Store } from '#contracts/store.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import type { GatewayPorts } from '../../gateway/ports.ts';
import { startGateway } from '../../gateway/gateway.ts';
import type { data } from '../settings/data.ts';
import type { gateway } from '../settings/gateway.ts';
import type { Choices } from '../settings/read.ts';
import type { site } from '../settings/site.ts';
import { refuseUnwritable } from './access-log-file.ts';

type Settings = Choices<{ site: typeof site; data: typeof data; gateway: typeof gateway }>;
type Apis = readonly [Address, ...Address[]];
type Ports = Omit<GatewayPorts, 'certificates' | 'challenges' | 'tickets'> & {
  readonly store: Store;
};

/**
 * Starts the gateway's parent, whose name on the bus is `id`; the REST API is at one of `apis`. Throws
 * `BadSetting` and `PortTaken`.
 */
export const serveGateway = async (
  ports: Ports,
  { site: place, data: kept, gateway: own }: Settings,
  { id, apis: [api, ...otherApis] }: { readonly id: string; readonly apis: Apis },
): Promise<Gateway> => {
  refuseUnwritable(own.accessLogFile);
  return startGateway(
    {
      ...ports,
      certificates: certificates(ports.store),
      challenges: challenges(ports.store),
      tickets: sessionTickets(ports.store),
    },
    {
      ...own,
      id,
      domain: place.domain,
      publicHttpsPort: place.publicHttpsPort,
      dataDir: kept.dir,
      api,
      otherApis,
    },
  );
};
