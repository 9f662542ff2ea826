import { isDeepStrictEqual } from 'node:util';
import type { GatewayAck, Route, RouteBus, RouteEvent } from '#contracts/route.ts';
import { FencedOff } from '#contracts/store.ts';

interface Entry {
  readonly route: Route;
  readonly revision: number;
}

interface Follower {
  readonly gateway: string;
  /** Newest event per host, in order of revision: a slow follower costs one entry per host. */
  readonly pending: Map<string, RouteEvent>;
  /** It is owed everything there is, instead of `pending`. */
  snapshotDue: boolean;
  wake: (() => void) | undefined;
}

/** Drops of hosts that are gone for good must not pile up; beyond this a snapshot is smaller. */
const pendingDropsMax = 1024;

/** Routes between a controller and gateways of one process. */
export class MemoryRouteBus implements RouteBus {
  #entries: Map<string, Entry> | undefined;
  #token = 0;
  #revision = 0;
  readonly #followers = new Set<Follower>();
  readonly #acks = new Map<string, number>();
  readonly #listeners = new Set<() => void>();

  async begin(token: number, routes: readonly Route[]): Promise<number> {
    if (token < this.#token) throw new FencedOff('a newer controller publishes routes');
    this.#token = token;
    const revision = ++this.#revision;
    this.#entries = new Map(
      routes.map((route) => [route.host, { route: structuredClone(route), revision }]),
    );
    for (const follower of this.#followers) oweSnapshot(follower);
    return revision;
  }

  async put(token: number, route: Route): Promise<number> {
    const entries = this.#reign(token);
    const existing = entries.get(route.host);
    if (existing && isDeepStrictEqual(existing.route, route)) return existing.revision;
    const revision = ++this.#revision;
    const kept = structuredClone(route);
    entries.set(route.host, { route: kept, revision });
    this.#tell({ kind: 'put', revision, host: route.host, route: kept });
    return revision;
  }

  async drop(token: number, host: string): Promise<number> {
    const entries = this.#reign(token);
    if (!entries.delete(host)) return this.#revision;
    const revision = ++this.#revision;
    this.#tell({ kind: 'drop', revision, host });
    return revision;
  }

  onAcks(changed: () => void): () => void {
    const listener = (): void => changed();
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  acks(): readonly GatewayAck[] {
    return Array.from(this.#acks, ([gateway, revision]) => ({ gateway, revision }));
  }

  acknowledge({ gateway, revision }: GatewayAck): void {
    // A late word of a gateway that left would keep it in the list, and pods waiting for it, forever.
    if (!this.#follows(gateway)) return;
    this.#acks.set(gateway, revision);
    this.#changed();
  }

  follow(gateway: string, signal: AbortSignal): AsyncIterable<RouteEvent> {
    const follower: Follower = {
      gateway,
      pending: new Map(),
      snapshotDue: this.#entries !== undefined,
      wake: undefined,
    };
    this.#followers.add(follower);
    const leave = (): void => {
      this.#leave(follower);
      signal.removeEventListener('abort', leave);
    };
    // At once, not at the next event: a gateway that hangs must not stay in the list.
    signal.addEventListener('abort', leave);
    if (signal.aborted) leave();
    return this.#events(follower, leave);
  }

  async *#events(follower: Follower, leave: () => void): AsyncGenerator<RouteEvent> {
    try {
      while (this.#followers.has(follower)) {
        const event = this.#next(follower);
        if (event) {
          yield event;
          continue;
        }
        await new Promise<void>((resolve) => {
          follower.wake = resolve;
        });
        follower.wake = undefined;
      }
    } finally {
      leave();
    }
  }

  #next(follower: Follower): RouteEvent | undefined {
    if (follower.snapshotDue && this.#entries) {
      follower.snapshotDue = false;
      follower.pending.clear();
      const routes = new Map(Array.from(this.#entries, ([host, { route }]) => [host, route]));
      return { kind: 'snapshot', revision: this.#revision, routes, shrinkIntended: true };
    }
    const [first] = follower.pending;
    if (!first) return undefined;
    follower.pending.delete(first[0]);
    return first[1];
  }

  #tell(event: Extract<RouteEvent, { host: string }>): void {
    const pendingMax = (this.#entries?.size ?? 0) + pendingDropsMax;
    for (const follower of this.#followers) {
      if (follower.snapshotDue) continue;
      // Deleted first, so that the order of the map is that of the revisions.
      follower.pending.delete(event.host);
      follower.pending.set(event.host, event);
      if (follower.pending.size > pendingMax) oweSnapshot(follower);
      follower.wake?.();
    }
  }

  #reign(token: number): Map<string, Entry> {
    if (token < this.#token) throw new FencedOff('a newer controller publishes routes');
    // Without its own begin a leader would build on what the one before left behind.
    if (!this.#entries || token > this.#token) throw new Error('begin comes before put and drop');
    return this.#entries;
  }

  #leave(follower: Follower): void {
    if (!this.#followers.delete(follower)) return;
    follower.pending.clear();
    follower.wake?.();
    if (this.#follows(follower.gateway)) return;
    this.#acks.delete(follower.gateway);
    this.#changed();
  }

  #follows(gateway: string): boolean {
    return this.#followers.values().some((follower) => follower.gateway === gateway);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function oweSnapshot(follower: Follower): void {
  follower.pending.clear();
  follower.snapshotDue = true;
  follower.wake?.();
}
