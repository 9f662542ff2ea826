import type { Clock } from '#contracts/clock.ts';
import type { Route, RouteBus } from '#contracts/route.ts';
import type { Expectation, Store } from '#contracts/store.ts';
import { RouteLedger } from '../../gateway/route-ledger.ts';
import type { Rule } from './witness.ts';

/**
 * Bugs that are planted to see that they are found. Each replaces one thing that a simulation is made
 * of; the programs know nothing of it.
 */
export interface Plant {
  /** Of these rules one at least must be seen broken. */
  readonly breaks: readonly Rule[];
  /** The store that everybody shares. */
  store?(this: void, store: Store): Store;
  /** The bus that everybody shares. */
  bus?(this: void, bus: RouteBus): RouteBus;
  /** The bus as a controller has it. */
  controllerBus?(this: void, bus: RouteBus, clock: Clock): RouteBus;
  controllerClock?(this: void, clock: Clock): Clock;
  /** What the api expects of the document that it writes. */
  expectation?(this: void, expect: Expectation): Expectation;
  readonly acknowledgesEarly?: boolean;
  /** Replaces functions until the returned one is called. */
  patch?(this: void): () => void;
}

/** Gateways take whatever comes for the newest. */
function patchLedger(): () => void {
  const { prototype } = RouteLedger;
  const before = Object.getOwnPropertyDescriptors(prototype);
  prototype.judge = () => 'new';
  prototype.isNewer = () => true;
  return () => Object.defineProperties(prototype, before);
}

/** Any token is taken for the newest. */
function unfencedBus(bus: RouteBus): RouteBus {
  let newest = 0;
  return Object.assign(delegate(bus), {
    begin: (token: number, ...table: readonly [readonly Route[], ReadonlySet<string>?]) =>
      bus.begin((newest = Math.max(newest, token)), ...table),
    put: (_token: number, route: Route) => bus.put(newest, route),
    drop: (_token: number, host: string) => bus.drop(newest, host),
  });
}

function unfencedStore(store: Store): Store {
  return Object.assign(storeDelegate(store), {
    put: (...[name, document, expect]: Parameters<Store['put']>) =>
      store.put(name, document, expect),
    remove: (...[name, id, expect]: Parameters<Store['remove']>) => store.remove(name, id, expect),
  });
}

/** Takes routes away a while after it said so: pods are stopped before gateways know. */
function withdrawsLate(bus: RouteBus, clock: Clock): RouteBus {
  let newest = 0;
  return Object.assign(delegate(bus), {
    async put(token: number, route: Route) {
      if (route.upstream) return (newest = await bus.put(token, route));
      clock.after(500, () => void bus.put(token, route).catch(() => undefined));
      return newest;
    },
  });
}

/** Looks at everything once and then only at what it is told of. */
const neverAgain = (clock: Clock, tooLongMs: number): Clock => ({
  nowMs: () => clock.nowMs(),
  monotonicMs: () => clock.monotonicMs(),
  after: (delayMs, run) => clock.after(delayMs, run),
  sleep: (delayMs, signal) => clock.sleep(delayMs >= tooLongMs ? 1e9 : delayMs, signal),
});

const delegate = (bus: RouteBus): RouteBus => ({
  begin: (...begin) => bus.begin(...begin),
  put: (token, route) => bus.put(token, route),
  drop: (token, host) => bus.drop(token, host),
  beat: (token, digest) => bus.beat(token, digest),
  onAcks: (changed) => bus.onAcks(changed),
  acks: () => bus.acks(),
  follow: (gateway, signal) => bus.follow(gateway, signal),
  acknowledge: (ack) => bus.acknowledge(ack),
});

const storeDelegate = (store: Store): Store => ({
  get: (name, id) => store.get(name, id),
  list: (name) => store.list(name),
  ids: (name) => store.ids(name),
  changesSince: (name, version) => store.changesSince(name, version),
  pagesSince: (name, version) => store.pagesSince(name, version),
  put: (...write) => store.put(...write),
  remove: (...removal) => store.remove(...removal),
  watch: (name, signal) => store.watch(name, signal),
});

const resyncMs = 60_000;

export const plants = {
  none: { breaks: [] },
  'no revision check in the gateway': {
    breaks: ['a route went back', 'it does not settle'],
    patch: patchLedger,
  },
  'no fence': {
    breaks: ['an older leader wrote'],
    bus: unfencedBus,
    store: unfencedStore,
  },
  'acknowledge before apply': {
    breaks: [
      'available without a gateway that serves it',
      'a pod was stopped before its route was out',
    ],
    acknowledgesEarly: true,
  },
  'pod deleted before its route is out': {
    breaks: ['a pod was stopped before its route was out'],
    controllerBus: withdrawsLate,
  },
  'no resync': {
    breaks: ['it does not settle'],
    controllerClock: (clock: Clock) => neverAgain(clock, resyncMs),
  },
  'a leader that does not look at the time': {
    breaks: ['somebody acted without the lease'],
    controllerClock: (clock: Clock) => ({ ...neverAgain(clock, Infinity), monotonicMs: () => 0 }),
  },
  'last write wins on desired state': {
    breaks: ['an accepted write was lost'],
    expectation: (expect: Expectation) => (expect === 'absent' ? expect : 'anything'),
  },
} as const satisfies Readonly<Record<string, Plant>>;

export type PlantName = keyof typeof plants;

export const isPlant = (name: string): name is PlantName => Object.hasOwn(plants, name);
