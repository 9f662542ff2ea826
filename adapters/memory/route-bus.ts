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
  snapshot: boolean;
  wake: (() => void) | undefined;
}

/** Routes between a controller and gateways of one process. */
export class MemoryRouteBus implements RouteBus {
  #entries: Map<string, Entry> | undefined;
  #token = 0;
  #revision = 0;
  readonly #followers = new Set<Follower>();
  readonly #acks = new Map<string, number>();
  readonly #listeners = new Set<() => void>();

  async begin(token: number, routes: readonly Route[]): Promise<number> {
    this.#reign(token);
    const revision = ++this.#revision;
    this.#entries = new Map(routes.map((route) => [route.host, { route, revision }]));
    for (const follower of this.#followers) {
      follower.pending.clear();
      follower.snapshot = true;
      follower.wake?.();
    }
    return revision;
  }

  async put(token: number, route: Route): Promise<number> {
    const entries = this.#reign(token);
    const existing = entries.get(route.host);
    if (existing && isDeepStrictEqual(existing.route, route)) return existing.revision;
    const revision = ++this.#revision;
    entries.set(route.host, { route, revision });
    this.#tell({ kind: 'put', revision, host: route.host, route });
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
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  acks(): readonly GatewayAck[] {
    return Array.from(this.#acks, ([gateway, revision]) => ({ gateway, revision }));
  }

  acknowledge({ gateway, revision }: GatewayAck): void {
    this.#acks.set(gateway, revision);
    this.#changed();
  }

  follow(gateway: string, signal: AbortSignal): AsyncIterable<RouteEvent> {
    const follower: Follower = {
      gateway,
      pending: new Map(),
      snapshot: this.#entries !== undefined,
      wake: undefined,
    };
    this.#followers.add(follower);
    return this.#events(follower, signal);
  }

  async *#events(follower: Follower, signal: AbortSignal): AsyncGenerator<RouteEvent> {
    const wake = (): void => follower.wake?.();
    signal.addEventListener('abort', wake, { once: true });
    try {
      while (!signal.aborted) {
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
      signal.removeEventListener('abort', wake);
      this.#followers.delete(follower);
      this.#acks.delete(follower.gateway);
      this.#changed();
    }
  }

  #next(follower: Follower): RouteEvent | undefined {
    if (follower.snapshot && this.#entries) {
      follower.snapshot = false;
      follower.pending.clear();
      const routes = new Map(Array.from(this.#entries, ([host, { route }]) => [host, route]));
      return { kind: 'snapshot', revision: this.#revision, routes, shrinkIntended: true };
    }
    for (const [host, event] of follower.pending) {
      follower.pending.delete(host);
      return event;
    }
    return undefined;
  }

  #tell(event: Extract<RouteEvent, { host: string }>): void {
    for (const follower of this.#followers) {
      // Deleted first, so that the order of the map is that of the revisions.
      follower.pending.delete(event.host);
      follower.pending.set(event.host, event);
      follower.wake?.();
    }
  }

  #reign(token: number): Map<string, Entry> {
    if (token < this.#token) throw new FencedOff('a newer controller publishes routes');
    this.#token = token;
    this.#entries ??= new Map();
    return this.#entries;
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
