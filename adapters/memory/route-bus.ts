import { isDeepStrictEqual } from 'node:util';
import { podKey } from '#contracts/pod.ts';
import type {
  Begun,
  GatewayAck,
  Route,
  RouteBus,
  RouteEvent,
  TableDigest,
} from '#contracts/route.ts';
import { FencedOff } from '#contracts/store.ts';
import type { BusChange, Snapshot } from './pending-events.ts';
import { PendingEvents } from './pending-events.ts';

interface Entry {
  readonly route: Route;
  readonly revision: number;
}

interface Follower {
  readonly gateway: string;
  readonly pending: PendingEvents;
}

/** It cannot lose its table without the process that it is in. */
const epoch = 'memory';

/** Routes between a controller and gateways of one process. */
export class MemoryRouteBus implements RouteBus {
  #entries: Map<string, Entry> | undefined;
  #token = 0;
  #revision = 0;
  readonly #followers = new Set<Follower>();
  readonly #acks = new Map<string, GatewayAck>();
  readonly #listeners = new Set<() => void>();

  async begin(
    token: number,
    routes: readonly Route[],
    kept: ReadonlySet<string> = new Set(),
  ): Promise<Begun> {
    if (token < this.#token) throw new FencedOff('a newer controller publishes routes');
    this.#token = token;
    const entries = (this.#entries ??= new Map<string, Entry>());
    const wanted = new Set(routes.map(({ host }) => host));
    const others = [...entries.values()].filter(({ route }) => !wanted.has(route.host));
    const isKept = ({ route }: Entry): boolean => kept.has(podKey(route.tenant, route.pod));
    // Without a pause: nobody must take half of it for the table.
    for (const other of others) if (!isKept(other)) this.#drop(entries, other.route.host);
    for (const route of routes) this.#put(entries, route);
    const revision = ++this.#revision;
    this.#tell({ kind: 'mark', revision });
    const revisions = Array.from(entries, ([host, entry]) => [host, entry.revision] as const);
    const keptRoutes = others.filter(isKept).map(({ route }) => route);
    return { revision, revisions: new Map(revisions), kept: keptRoutes };
  }

  async put(token: number, route: Route): Promise<number> {
    return this.#put(this.#reign(token), route);
  }

  async drop(token: number, host: string): Promise<number> {
    return this.#drop(this.#reign(token), host);
  }

  async beat(token: number, digest: TableDigest): Promise<void> {
    if (token < this.#token) throw new FencedOff('a newer controller publishes routes');
    for (const { pending } of this.#followers) pending.beat({ kind: 'beat', epoch, ...digest });
  }

  onAcks(changed: () => void): () => void {
    const listener = (): void => changed();
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  acks(): readonly GatewayAck[] {
    return [...this.#acks.values()];
  }

  acknowledge(ack: GatewayAck): void {
    // A late word of a gateway that left would keep it in the list, and pods waiting for it, forever.
    if (!this.#follows(ack.gateway) || ack.epoch !== epoch) return;
    this.#acks.set(ack.gateway, ack);
    this.#changed();
  }

  follow(gateway: string, signal: AbortSignal): AsyncIterable<RouteEvent> {
    const follower: Follower = {
      gateway,
      pending: new PendingEvents(() => this.#snapshot()),
    };
    this.#followers.add(follower);
    const leave = (): void => {
      this.#leave(follower);
      signal.removeEventListener('abort', leave);
    };
    // At once, not at the next event: a gateway that hangs must not stay in the list.
    signal.addEventListener('abort', leave);
    if (signal.aborted) leave();
    return untilLeft(follower.pending, leave);
  }

  #put(entries: Map<string, Entry>, route: Route): number {
    const existing = entries.get(route.host);
    if (existing && isDeepStrictEqual(existing.route, route)) return existing.revision;
    const revision = ++this.#revision;
    const kept = structuredClone(route);
    entries.set(route.host, { route: kept, revision });
    this.#tell({ kind: 'put', revision, host: route.host, route: kept });
    return revision;
  }

  #drop(entries: Map<string, Entry>, host: string): number {
    if (!entries.delete(host)) return this.#revision;
    const revision = ++this.#revision;
    this.#tell({ kind: 'drop', revision, host });
    return revision;
  }

  #snapshot(): Snapshot | undefined {
    return (
      this.#entries && {
        kind: 'snapshot',
        epoch,
        revision: this.#revision,
        routes: new Map(this.#entries),
        shrinkIntended: true,
      }
    );
  }

  #tell(change: BusChange): void {
    for (const { pending } of this.#followers) pending.add(change, this.#entries?.size ?? 0);
  }

  #reign(token: number): Map<string, Entry> {
    if (token < this.#token) throw new FencedOff('a newer controller publishes routes');
    // Without its own begin a leader would build on what the one before left behind.
    if (!this.#entries || token > this.#token) throw new Error('begin comes before put and drop');
    return this.#entries;
  }

  #leave(follower: Follower): void {
    if (!this.#followers.delete(follower)) return;
    follower.pending.end();
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

async function* untilLeft(pending: PendingEvents, leave: () => void): AsyncGenerator<RouteEvent> {
  try {
    yield* pending.events();
  } finally {
    leave();
  }
}
