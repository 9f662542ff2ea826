import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { PodLogs } from '#contracts/logs.ts';
import type { Random } from '#contracts/random.ts';
import type { RouteBus } from '#contracts/route.ts';
import type { Sealer } from '#contracts/sealer.ts';
import type { Store } from '#contracts/store.ts';
import type { TrafficReader } from '#contracts/traffic.ts';
import type { StatusCodes } from './problem.ts';
import type { MachinePrograms } from './templates/seed/processes.ts';

export interface ApiPorts {
  readonly store: Store;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly random: Random;
  readonly logs: PodLogs;
  readonly traffic: TrafficReader;
  /** Followed for a snapshot of what is published. */
  readonly routes: Pick<RouteBus, 'follow'>;
  readonly log: Log;
}

export interface ApiSettings {
  readonly tenant: string;
  readonly domain: string;
  readonly host: string;
  readonly port: number;
  readonly publicHttpsPort: number;
  /** Addresses and CIDR blocks of the gateways: what they say of a client is believed. */
  readonly trustedProxies: readonly string[];
  /** Which status codes refusals have: what they mean, or what callers of the original expect. */
  readonly statusCodes: StatusCodes;
  /** Of one user, or of one address without a token; 0: as many as they like. */
  readonly requestsPerMinute: number;
  /** Of the machine that runs pods as processes. */
  readonly programs: MachinePrograms;
  readonly runtime: 'auto' | 'process' | 'engine' | 'kubernetes';
}
