import { join } from 'node:path';
import { MemoryLeases } from '#adapters/memory/leases.ts';
import { MemoryLogExchange } from '#adapters/memory/log-exchange.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import { desiredPods, podKey, podStatuses, sealContext } from '#contracts/pod.ts';
import type { DesiredPod } from '#contracts/pod.ts';
import { zRoute } from '#contracts/route.ts';
import { startController } from '../../controller/controller.ts';
import { createKubernetesRuntime } from '../../controller/runtime/kubernetes/runtime.ts';
import { configFor } from '../../test/kubernetes/api-server.ts';
import { desiredPod, podStatus } from '../../test/pod-examples.ts';
import type { Times } from './pods.ts';
import * as terms from './pods.ts';

/**
 * A controller of pods on Kubernetes, alone, with its store in its own memory and a gateway that only
 * keeps the table. It is told what users want by messages, and answers when that is so.
 */

export interface ControllerRun {
  readonly server: string;
  readonly folder: string;
  /** So many pods run already. */
  readonly old: number;
}

/** Of so many new pods. */
export interface Wish {
  readonly be: 'AVAILABLE' | 'STOPPED' | 'gone';
  readonly count: number;
  /** From one to the next; 0: all at once. */
  readonly everyMs: number;
}

/** Of the first new pods, which run, so many are stopped one after the other while others are launched. */
export interface Stops {
  readonly stops: number;
  readonly everyMs: number;
  /** So many at once, just before. */
  readonly launches: number;
}

export interface Stopped {
  /** In ms from the wish to the status of each. */
  readonly delays: readonly number[];
}

export interface Fulfilled {
  /** By key, when a pod got into the gateway's table with an address, this time. */
  readonly routed: Times;
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- by the question that starts it
const run = JSON.parse(process.argv[2] ?? '') as ControllerRun;
const { tenant } = terms;
const pollMs = 20;
const store = new MemoryStore();
const desired = desiredPods(store);
const statuses = podStatuses(store);
const sealer = openSealer(join(run.folder, 'key'));
const routes = new MemoryRouteBus();
const routed = new Map<string, number>();
// The cluster may go first.
const log = { debug() {}, info() {}, warn() {}, error: console.error };
const ports = { clock: systemClock, random: systemRandom, log };

function wanted(podId: string, change: Partial<DesiredPod> = {}): DesiredPod {
  const key = podKey(tenant, podId);
  const environment = sealer.seal('{}', sealContext.environment(key));
  const userPassword = sealer.seal('of the bench', sealContext.credentials(key));
  const credentials = { userUsername: podId, userPassword };
  return desiredPod({ podId, image: terms.image, environment, credentials, ...change });
}

function see(value: unknown): void {
  const { pod, upstream } = zRoute.parse(value);
  const key = podKey(tenant, pod);
  if (upstream && !routed.has(key)) routed.set(key, terms.preciseNowMs());
}

/** The table as a gateway has it, acknowledged at once. */
async function keepTable(): Promise<void> {
  const gateway = 'bench';
  for await (const event of routes.follow(gateway, new AbortController().signal)) {
    if (event.kind === 'snapshot') for (const { route } of event.routes.values()) see(route);
    if (event.kind === 'put') see(event.route);
    routes.acknowledge({ gateway, epoch: event.epoch, revision: event.revision });
  }
}

async function fulfil({ be, count, everyMs }: Wish): Promise<Fulfilled> {
  routed.clear();
  const ids = Array.from({ length: count }, (_, index) => terms.newId(index));
  for (const id of ids) {
    if (everyMs > 0) await systemClock.sleep(everyMs);
    const key = podKey(tenant, id);
    if (be === 'gone') await desired.remove(key, 'anything');
    else
      await desired.put(
        key,
        wanted(id, { requested: be === 'STOPPED' ? 'OFF' : 'ON' }),
        'anything',
      );
  }
  for (const id of ids) await until(id, be);
  return { routed: [...routed] };
}

async function stop({ stops, everyMs, launches }: Stops): Promise<Stopped> {
  const others = Array.from({ length: launches }, (_, index) => terms.newId(stops + index));
  for (const id of others) await desired.put(podKey(tenant, id), wanted(id), 'anything');
  const delays = Array.from({ length: stops }, async (_, index) => {
    await systemClock.sleep(index * everyMs);
    const id = terms.newId(index);
    const wishedMs = terms.preciseNowMs();
    await desired.put(podKey(tenant, id), wanted(id, { requested: 'OFF' }), 'anything');
    await until(id, 'STOPPED');
    return terms.preciseNowMs() - wishedMs;
  });
  const answer = { delays: await Promise.all(delays) };
  for (const id of others) await until(id, 'AVAILABLE');
  return answer;
}

async function until(id: string, be: Wish['be']): Promise<void> {
  const isSo = async (): Promise<boolean> => {
    const status = await statuses.get(podKey(tenant, id));
    return (status?.value.state ?? 'gone') === be;
  };
  while (!(await isSo())) await systemClock.sleep(pollMs);
}

for (let index = 0; index < run.old; index += 1) {
  const id = terms.oldId(index);
  const key = podKey(tenant, id);
  await desired.put(key, wanted(id), 'anything');
  const status = podStatus({ state: 'AVAILABLE', startedAtMs: systemClock.nowMs() });
  await statuses.put(key, status, 'anything');
}
void keepTable();

/** Begins when it is told to. */
async function start(): Promise<void> {
  const { namespace, installation } = terms;
  const config = configFor(run.server, terms.controllerToken);
  const dataDir = join(run.folder, 'data');
  const runtime = await createKubernetesRuntime({
    ...ports,
    config,
    namespace,
    installation,
    dataDir,
  });
  const site = { domain: 'example.org', tenant };
  const leases = new MemoryLeases(systemClock);
  const logs = new MemoryLogExchange();
  const controller = startController(
    { ...ports, store, routes, leases, logs, sealer, runtime },
    { site, holder: 'bench', registries: new Map() },
  );
  await controller.settled;
  while (routed.size < run.old) await systemClock.sleep(pollMs);
}

async function answerTo(message: Wish | Stops | 'start'): Promise<Fulfilled | Stopped> {
  if (message !== 'start') return 'stops' in message ? stop(message) : fulfil(message);
  await start();
  return { routed: [] };
}

process.on('message', (message: Wish | Stops | 'start') => {
  void answerTo(message).then((answer) => process.send?.(answer));
});
process.send?.('there');
