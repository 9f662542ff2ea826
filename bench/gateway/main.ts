import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { certificates } from '#contracts/certificate.ts';
import type { Route } from '#contracts/route.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { challenges } from '#contracts/challenge.ts';
import { sessionTickets } from '../../gateway/ticket-key.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import { startGateway } from '../../gateway/gateway.ts';
import type { ServingTerms } from '../../gateway/messages.ts';
import { eventually } from '../../test/processes.ts';
import { openTestRedis } from '../../test/programs/redis-store.ts';
import { servingTerms } from '../../test/gateway-examples.ts';
import { storedCertificate } from './certificate.ts';

/**
 * The gateway under test: parent and one worker process, as in production, with a bus and a store in
 * memory. Takes its settings as JSON in the first argument; routes to put come as messages.
 */

export interface GatewayRun {
  readonly port: number;
  readonly folder: string;
  /** PEM files of the certificate that every host is served with. */
  readonly chain: string;
  readonly key: string;
  readonly routes: readonly Route[];
  /** Hosts beside those of `routes`, each with a route and a certificate of its own. */
  readonly others: number;
  readonly terms: Partial<ServingTerms>;
  /** The certificates are in the Redis of this URL already, sealed with this key; else they are made in memory. */
  readonly stored: { readonly redis: string; readonly keyFile: string } | undefined;
  /** Its workers count no requests. */
  readonly uncounted: boolean;
}

export type Asked =
  | { readonly kind: 'put'; readonly route: Route }
  /** Answered after that time with the longest that a worker's event loop was late, in ms. */
  | { readonly kind: 'watch-lag'; readonly forMs: number };

const silent = { debug() {}, info() {}, warn() {}, error: console.error };

const run: GatewayRun = JSON.parse(process.argv[2] ?? '');
// Workers are started with the Node of their parent and nothing of its environment.
if (run.uncounted) {
  const wrapper = join(run.folder, 'node');
  const program = join(import.meta.dirname, 'uncounted.ts');
  writeFileSync(wrapper, `#!/bin/sh\nexec '${process.execPath}' --import '${program}' "$@"\n`);
  chmodSync(wrapper, 0o755);
  process.execPath = wrapper;
}
const sealer = openSealer(run.stored?.keyFile ?? `${run.folder}/key`);
const identity = { chain: readFileSync(run.chain, 'utf8'), key: readFileSync(run.key, 'utf8') };
const documents = run.stored ? (await openTestRedis(run.stored.redis)).store : new MemoryStore();
const store = certificates(documents);

async function certify(id: string, host: string): Promise<void> {
  await store.put(id, storedCertificate(sealer, identity, { id, host }), 'anything');
}

const [first] = run.routes;
if (!first) throw new Error('a gateway without a route has nothing to serve');
const others = Array.from({ length: run.others }, (_, number) => ({
  ...first,
  host: `other${number}.pods.example.test`,
  pod: `other${number}`,
}));
if (!run.stored) {
  await certify('wildcard', '*.pods.example.test');
  for (const { host, pod } of [...run.routes, ...others]) await certify(`pod/default/${pod}`, host);
}

const bus = new MemoryRouteBus();
const gateway = await startGateway(
  {
    routes: bus,
    certificates: store,
    challenges: challenges(new MemoryStore()),
    tickets: sessionTickets(new MemoryStore()),
    sealer,
    clock: systemClock,
    random: systemRandom,
    log: silent,
  },
  {
    ...servingTerms,
    ...run.terms,
    id: 'bench',
    httpsPort: run.port,
    httpPort: 0,
    workers: 1,
    dataDir: run.folder,
  },
);
await bus.begin(1, [...run.routes, ...others]);
await eventually(() => gateway.ready() && bus.acks().length > 0);
const registry = new Registry();
gateway.operator.observe(registry);
const lagEveryMs = 200; // a worker reports once a second

async function worstLagMs(forMs: number): Promise<number> {
  let worst = 0;
  const endMs = systemClock.monotonicMs() + forMs;
  while (systemClock.monotonicMs() < endMs) {
    await systemClock.sleep(lagEveryMs);
    const name = 'podgate_gateway_worker_event_loop_lag_seconds';
    const metric = await registry.getSingleMetric(name)?.get();
    worst = Math.max(worst, ...(metric?.values ?? []).map(({ value }) => value * 1_000));
  }
  return worst;
}

process.on('message', (asked: Asked) => {
  if (asked.kind === 'put') void bus.put(1, asked.route);
  else void worstLagMs(asked.forMs).then((worst) => process.send?.(worst));
});
process.on('SIGTERM', () => process.exit(0));
process.send?.('ready');
