import type { Clock } from '#contracts/clock.ts';
import type { Leases } from '#contracts/leases.ts';
import type { Site } from '#contracts/hosts.ts';
import type { Log } from '#contracts/log.ts';
import type { LogExchange } from '#contracts/logs.ts';
import { desiredPods, podStatuses } from '#contracts/pod.ts';
import type { Random } from '#contracts/random.ts';
import type { Route, RouteBus } from '#contracts/route.ts';
import { BusUnavailable } from '#contracts/route.ts';
import type { Sealer } from '#contracts/sealer.ts';
import type { Store } from '#contracts/store.ts';
import { FencedOff, WriteConflict } from '#contracts/store.ts';
import type { Leadership } from './leadership.ts';
import { allKeys, isPressing, lookAtAll } from './all-pods.ts';
import { keepLeading, NotLeading } from './leadership.ts';
import { plan } from './plan.ts';
import { Publisher } from './publish.ts';
import { WorkQueue } from './queue.ts';
import type { ReconcileContext } from './reconcile.ts';
import { look, reconcile } from './reconcile.ts';
import { routesOf } from './routes.ts';
import type { RegistryAccess, Runtime } from './runtime/runtime.ts';
import { RuntimeUnavailable } from './runtime/runtime.ts';

const leaseName = 'controller';
/**
 * Work here is waiting for processes and disks; one pod that takes long must not hold up others. What ends
 * takes the time that programs take.
 */
const concurrency = { look: 32, end: 256, launch: 32 } as const;
/** How long `stop` waits for what is under way. */
const drainMs = 2_000;
const watchAgainMs = 1_000;
const publishAgainMs = 1_000;
const beatMs = 1_000;

export interface ControllerPorts {
  readonly store: Store;
  readonly routes: RouteBus;
  readonly leases: Leases;
  readonly logs: LogExchange;
  readonly sealer: Sealer;
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface ControllerSettings {
  readonly site: Site;
  /** Names this controller among those that compete for the lease. */
  readonly holder: string;
  /** Credentials of registries, by their server. */
  readonly registries: ReadonlyMap<string, RegistryAccess>;
  /** Ids of templates whose pods run as their image wants; none by default. */
  readonly rootTemplates?: ReadonlySet<string>;
}

export interface Controller {
  /** Resolves when it leads and has published the routes, or has found that another one leads. */
  readonly settled: Promise<void>;
  /** Whether it is the one that acts. */
  leads(): boolean;
  /** Why it does nothing for pods although it should, in a sentence for operators. */
  problem(): string | undefined;
  /** Leaves all pods running. */
  stop(): Promise<void>;
}

/** Makes pods what users want them to be, as long as it holds the lease. */
export function startController(ports: ControllerPorts, settings: ControllerSettings): Controller {
  const { clock } = ports;
  const stopping = new AbortController();
  const { promise: settled, resolve } = Promise.withResolvers<void>();
  let known = false;
  let leads = false;
  const settle = (): void => {
    known = true;
    resolve();
  };
  const leading = keepLeading(
    ports,
    { name: leaseName, holder: settings.holder, signal: stopping.signal },
    async (leadership) => {
      leads = true;
      try {
        await lead(ports, settings, leadership, settle);
      } finally {
        leads = false;
      }
    },
    settle,
  );
  return {
    settled,
    leads: () => leads,
    problem: () => {
      if (stopping.signal.aborted) return 'it is stopping';
      return known ? undefined : 'it has not found out who leads, or not published the routes yet';
    },
    async stop() {
      stopping.abort();
      const waiting = new AbortController();
      const late = clock.sleep(drainMs, waiting.signal).catch(() => undefined);
      await Promise.race([leading, late]);
      waiting.abort();
    },
  };
}

/** One reign, from the lease to its loss. */
async function lead(
  ports: ControllerPorts,
  { rootTemplates = new Set(), ...settings }: ControllerSettings,
  leadership: Leadership,
  begun: () => void,
): Promise<void> {
  const { lease, signal, check, lose } = leadership;
  const { store, routes, runtime, log } = ports;
  const context: ReconcileContext = {
    ...ports,
    desired: desiredPods(store),
    statuses: podStatuses(store),
    publisher: new Publisher(routes, lease.token, ports.clock),
    ...settings,
    rootTemplates,
    fence: { lease: lease.name, token: lease.token },
    checkLeading: check,
    awaitingGateways: new Set(),
  };
  const queue = new WorkQueue({
    ...ports,
    concurrency,
    work: (key, turn) => reconcile(context, key, turn),
    failed: (key, error) => {
      if (error instanceof FencedOff) lose();
      if (error instanceof WriteConflict || error instanceof NotLeading) return;
      if (error instanceof RuntimeUnavailable)
        log.warn({ key, error: error.message }, 'where pods run nobody answers; trying again');
      else log.error({ key, error }, 'a pod could not be seen to; trying again');
    },
  });
  // Watching starts before the first look, so nothing falls between the two.
  const watching = [
    follow(ports, signal, (ended) => changedKeys(context, ended), queue),
    follow(ports, signal, (ended) => runtime.events(ended), queue),
  ];
  const unserve = ports.logs.serve({
    read: (key, window) => runtime.logs(key, window),
    follow: (key, start, ended) => runtime.followLogs(key, start, ended),
  });
  const unlisten = routes.onAcks(() => {
    for (const key of context.awaitingGateways) queue.add(key);
  });
  try {
    await beginReign(context, queue, signal);
    // Not sooner, or gateways would take a few routes for the whole table.
    queue.start();
    begun();
    watching.push(beating(context, leadership));
    await lookAtAll(context, signal, (key) => queue.addIdle(key));
  } finally {
    unlisten();
    unserve();
    await queue.stop();
  }
  await Promise.all(watching);
}

/** Until the reign ends, which the bus may know first. */
async function beating(
  { publisher, clock, log }: Pick<ReconcileContext, 'publisher' | 'clock' | 'log'>,
  { signal, lose }: Leadership,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await publisher.beat();
    } catch (error) {
      if (error instanceof FencedOff) lose();
      log.warn({ error: String(error) }, 'gateways could not be told of the table');
    }
    await clock.sleep(beatMs, signal).catch(() => undefined);
  }
}

/**
 * Publishes the table that follows from the first look at every pod, all at once; what cannot be looked
 * at keeps the routes it has.
 */
async function beginReign(
  context: ReconcileContext,
  queue: WorkQueue,
  signal: AbortSignal,
): Promise<void> {
  const { log } = context;
  for (;;) {
    try {
      const { pods, unknown } = await firstLook(context, queue);
      await context.publisher.begin(pods, unknown);
      return;
    } catch (error) {
      // Without the bus there is nobody to tell: it may be back before the reign is over.
      if (!(error instanceof BusUnavailable) || signal.aborted) throw error;
      log.warn({ reason: error.message }, 'the routes could not be published; trying again');
    }
    await context.clock.sleep(publishAgainMs, signal).catch(() => undefined);
    context.checkLeading();
  }
}

/** The routes of every pod as it is now, and those that cannot be looked at. Queues those that press. */
async function firstLook(
  context: ReconcileContext,
  queue: WorkQueue,
): Promise<{ pods: ReadonlyMap<string, readonly Route[]>; unknown: ReadonlySet<string> }> {
  const { log } = context;
  const pods = new Map<string, Route[]>();
  const unknown = new Set<string>();
  const keys = (await allKeys(context)).values();
  const lookOn = async (): Promise<void> => {
    for (const key of keys) {
      try {
        const { facts } = await look(context, key);
        const next = plan(facts);
        pods.set(key, routesOf(facts.desired, next, facts.observed, context.site));
        if (isPressing(facts, next)) queue.add(key);
      } catch (error) {
        unknown.add(key);
        queue.add(key);
        if (error instanceof RuntimeUnavailable)
          log.warn({ key, error: error.message }, 'where pods run nobody answers; trying again');
        else log.error({ key, error }, 'a pod could not be looked at');
      }
    }
  };
  // They share the keys.
  await Promise.all(Array.from({ length: concurrency.look }, lookOn));
  context.checkLeading();
  return { pods, unknown };
}

async function* changedKeys(
  { desired }: ReconcileContext,
  signal: AbortSignal,
): AsyncGenerator<string> {
  for await (const { id } of desired.watch(signal)) yield id;
}

/** Queues what a source tells; a source that fails is asked again, and the resync fills the gap. */
async function follow(
  { clock, log }: Pick<ControllerPorts, 'clock' | 'log'>,
  signal: AbortSignal,
  source: (signal: AbortSignal) => AsyncIterable<string>,
  queue: WorkQueue,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const key of source(signal)) queue.add(key);
    } catch (error) {
      log.error({ error }, 'watching failed; trying again');
    }
    if (!signal.aborted) await clock.sleep(watchAgainMs, signal).catch(() => undefined);
  }
}
