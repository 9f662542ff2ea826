import { parseNatsUrl } from '#adapters/nats/address.ts';
import { NatsLink } from '#adapters/nats/link.ts';
import { NatsLogExchange } from '#adapters/nats/log-exchange.ts';
import { NatsRouteBus } from '#adapters/nats/route-bus.ts';
import { parseRedisUrl } from '#adapters/redis/address.ts';
import { openRedis } from '#adapters/redis/redis.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import { startController } from '../../controller/controller.ts';
import { createdAtMs, domain, keyOf } from '../scale/pods.ts';
import { SharedUpstream } from './runtime.ts';

/**
 * The controller of a cluster, on Redis and NATS, with pods that only seem to run. Takes its settings as
 * JSON in the first argument; says when the routes are published, and when it has looked at every pod.
 */

export interface ControllerRun {
  readonly redis: string;
  readonly nats: string;
  readonly keyFile: string;
  readonly pods: number;
  readonly upstreamPort: number;
}

/** How long it took. */
export interface Told {
  readonly kind: 'published' | 'all seen to';
  readonly ms: number;
}

const quietMs = 500;

const run: ControllerRun = JSON.parse(process.argv[2] ?? '');
const log = { debug() {}, info() {}, warn: console.error, error: console.error };
const system = { clock: systemClock, random: systemRandom, log };
const { store, leases } = await openRedis(
  { address: parseRedisUrl(run.redis), ca: undefined, waitReplicas: 0 },
  system,
);
const link = new NatsLink(
  { address: parseNatsUrl(run.nats), creds: undefined, ca: undefined, replicas: 1, name: 'bench' },
  system,
);
await link.connected();
const keys = Array.from({ length: run.pods }, (_, index) => keyOf(index));
const runtime = new SharedUpstream(keys, createdAtMs, run.upstreamPort);

const tell = (told: Told): void => void process.send?.(told);

const startedMs = performance.now();
const controller = startController(
  {
    ...system,
    store,
    leases,
    runtime,
    sealer: openSealer(run.keyFile),
    routes: new NatsRouteBus(link, system),
    logs: new NatsLogExchange(link, systemClock),
  },
  { site: { domain, tenant: 'default' }, holder: 'bench', registries: new Map() },
);
// Lets go of the lease, so that another one need not wait until it runs out.
process.on('SIGTERM', () => void controller.stop().finally(() => process.exit(0)));
await controller.settled;
const publishedMs = performance.now();
tell({ kind: 'published', ms: publishedMs - startedMs });

let looks = 0;
let quietSinceMs = publishedMs;
// Once for the routes, once more to see to it.
while (looks < 2 * run.pods || performance.now() - quietSinceMs < quietMs) {
  if (runtime.looks > looks) quietSinceMs = performance.now();
  ({ looks } = runtime);
  await systemClock.sleep(quietMs / 10);
}
tell({ kind: 'all seen to', ms: quietSinceMs - publishedMs });
