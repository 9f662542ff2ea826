import { hostname } from 'node:os';
import type { Part } from '#contracts/admin.ts';
import type { CancelExchange } from '#contracts/cancels.ts';
import type { LogExchange } from '#contracts/logs.ts';
import type { RouteBus } from '#contracts/route.ts';
import type { TrafficExchange } from '#contracts/traffic.ts';
import { NatsCancelExchange } from '#adapters/nats/cancel-exchange.ts';
import { NatsLink } from '#adapters/nats/link.ts';
import { NatsLogExchange } from '#adapters/nats/log-exchange.ts';
import { NatsRouteBus } from '#adapters/nats/route-bus.ts';
import { NatsTrafficExchange } from '#adapters/nats/traffic-exchange.ts';
import type { NatsChoice } from '../settings/nats.ts';
import type { Life } from './program.ts';
import { readPem } from './read-pem.ts';
import type { System } from './system.ts';

/** What programs tell and ask one another, which may be away at any time. */
export interface SharedBus {
  readonly routes: RouteBus;
  readonly logs: LogExchange;
  readonly traffic: TrafficExchange;
  readonly cancels: CancelExchange;
  readonly part: Part;
}

/** The NATS where the programs of a cluster meet; connects as soon as it is there. Throws `BadSetting`. */
export function openSharedBus(
  program: 'api' | 'certs' | 'controller' | 'gateway',
  choice: NatsChoice,
  system: System,
  { stack }: Life,
): SharedBus {
  const { address, replicas } = choice;
  const creds = readPem('PODGATE_NATS_CREDS_FILE', choice.credsFile);
  const ca = readPem('PODGATE_NATS_CA_FILE', choice.caFile);
  const name = `podgate ${program} at ${hostname()}`;
  // As deploy/nats/podgate.conf has it.
  const inboxPrefix = `_INBOX.${program}`;
  const link = new NatsLink({ address, creds, ca, replicas, name, inboxPrefix }, system);
  stack.defer(() => link.close());
  return {
    routes: new NatsRouteBus(link, system),
    logs: new NatsLogExchange(link, system.clock),
    traffic: new NatsTrafficExchange(link, system.clock),
    cancels: new NatsCancelExchange(link, system.clock),
    part: { name: 'bus', problem: () => link.problem() },
  };
}
