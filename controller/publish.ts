import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#contracts/clock.ts';
import { podKey } from '#contracts/pod.ts';
import type { Route, RouteBus } from '#contracts/route.ts';
import { entryDigest } from '#contracts/route.ts';
import type { RouteStanding } from './status.ts';

interface Published {
  readonly route: Route;
  readonly revision: number;
}

/** The routes of one reign: what was published for each pod, and which gateways serve it. */
export class Publisher {
  readonly #bus: RouteBus;
  readonly #token: number;
  readonly #clock: Clock;
  readonly #pods = new Map<string, Map<string, Published>>();
  /** The newest change of each pod's routes, dropped ones included. */
  readonly #newest = new Map<string, number>();
  /** Hosts of each pod of which the bus may have another route than the one published last. */
  readonly #doubtful = new Map<string, Set<string>>();
  #revision = 0;
  #count = 0;
  #hash = 0;

  constructor(bus: RouteBus, token: number, clock: Clock) {
    this.#bus = bus;
    this.#token = token;
    this.#clock = clock;
  }

  /**
   * Starts the reign with the whole table, so that gateways forget what is not in it. Pods in `unknown`
   * keep the routes they have: what cannot be looked at now must not cost its visitors anything.
   */
  async begin(
    pods: ReadonlyMap<string, readonly Route[]>,
    unknown: ReadonlySet<string> = new Set(),
  ): Promise<void> {
    const routes = [...pods.values()].flat();
    const { revision, revisions, kept } = await this.#bus.begin(this.#token, routes, unknown);
    this.#revision = revision;
    const left = Map.groupBy(kept, ({ tenant, pod }) => podKey(tenant, pod));
    for (const key of [...pods.keys(), ...unknown]) {
      const published = new Map<string, Published>();
      for (const route of pods.get(key) ?? left.get(key) ?? [])
        this.#enter(published, { route, revision: revisions.get(route.host) ?? revision });
      this.#pods.set(key, published);
      this.#newest.set(key, revision);
    }
  }

  /** Makes the routes of a pod these. What does not change costs nothing. */
  async publish(key: string, routes: readonly Route[]): Promise<void> {
    const published = this.#pods.get(key) ?? new Map<string, Published>();
    this.#pods.set(key, published);
    const doubtful = this.#doubtful.get(key);
    for (const route of routes) {
      const { host } = route;
      const known = !doubtful?.has(host);
      if (known && isDeepStrictEqual(published.get(host)?.route, route)) continue;
      const revision = await this.#write(key, host, () => this.#bus.put(this.#token, route));
      this.#enter(published, { route, revision });
      this.#newest.set(key, revision);
    }
    const wanted = new Set(routes.map(({ host }) => host));
    const unwanted = [...published.keys(), ...(doubtful ?? [])].filter((host) => !wanted.has(host));
    for (const host of new Set(unwanted)) {
      const revision = await this.#write(key, host, () => this.#bus.drop(this.#token, host));
      this.#leave(published, host);
      this.#revision = Math.max(this.#revision, revision);
      this.#newest.set(key, revision);
    }
  }

  /** A write that fails may have happened: until the next one of its host it is in doubt. */
  async #write(key: string, host: string, write: () => Promise<number>): Promise<number> {
    const doubtful = this.#doubtful.get(key) ?? new Set();
    this.#doubtful.set(key, doubtful.add(host));
    const revision = await write();
    doubtful.delete(host);
    if (doubtful.size === 0) this.#doubtful.delete(key);
    return revision;
  }

  /** Tells gateways what the table is, so that one that missed something notices. Throws `FencedOff`. */
  async beat(): Promise<void> {
    const digest = { revision: this.#revision, count: this.#count, hash: this.#hash >>> 0 };
    await this.#bus.beat(this.#token, digest);
  }

  /** Forgets a pod that is gone. */
  forget(key: string): void {
    this.#pods.delete(key);
    this.#newest.delete(key);
  }

  /** Whether every live gateway, of which there is one, serves the route of this host. */
  standing(key: string, host: string): RouteStanding {
    const revision = this.#pods.get(key)?.get(host)?.revision;
    const acks = this.#bus.acks();
    if (acks.length === 0) return 'no gateway';
    const served = revision !== undefined && acks.every((ack) => ack.revision >= revision);
    return served ? 'served' : 'unserved';
  }

  /**
   * Resolves when no live gateway uses an older route of this pod, or after `limitMs`: a gateway
   * that hangs must not keep pods from being stopped.
   */
  async settled(key: string, limitMs: number): Promise<void> {
    const revision = this.#newest.get(key) ?? 0;
    const isSettled = (): boolean => this.#bus.acks().every((ack) => ack.revision >= revision);
    if (isSettled()) return;
    const waiting = new AbortController();
    const removeListener = this.#bus.onAcks(() => {
      if (isSettled()) waiting.abort();
    });
    await this.#clock.sleep(limitMs, waiting.signal).catch(() => undefined);
    removeListener();
  }

  #enter(published: Map<string, Published>, entry: Published): void {
    const { host } = entry.route;
    this.#leave(published, host);
    published.set(host, entry);
    this.#count += 1;
    this.#hash ^= entryDigest(host, entry.revision);
    this.#revision = Math.max(this.#revision, entry.revision);
  }

  #leave(published: Map<string, Published>, host: string): void {
    const before = published.get(host);
    if (!before) return;
    published.delete(host);
    this.#count -= 1;
    this.#hash ^= entryDigest(host, before.revision);
  }
}
