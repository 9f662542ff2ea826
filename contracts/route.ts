import { z } from 'zod';
import { zPolicy } from './policy.ts';

/** How ready a pod's network is, as the gateway tells it to clients. */
const zRouteState = z.enum(['ready', 'starting', 'stopping', 'stopped', 'failed', 'complete']);
export type RouteState = z.infer<typeof zRouteState>;

const zAddress = z.strictObject({ host: z.string(), port: z.int().min(1).max(65_535) });
export type Address = z.infer<typeof zAddress>;

/**
 * What the gateway does with connections for one exact host. A route is a whole value: an update
 * replaces it, a live connection keeps the one it started with.
 */
export const zRoute = z.strictObject({
  /** Lower case, no port, no trailing dot. */
  host: z.string().regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/),
  tenant: z.string(),
  pod: z.string(),
  network: z.string(),
  protocol: z.enum(['http', 'tcp', 'postgres']),
  /** Absent: nothing beyond reaching it. */
  policy: zPolicy.optional(),
  state: zRouteState,
  /** For people: shown on the page of a pod that is not ready. */
  message: z.string(),
  /** Where the pod listens; null exactly when `state` is not `ready`. */
  upstream: zAddress.nullable(),
});
export type Route = z.infer<typeof zRoute>;

/** A value of the bus: unparsed, and the revision it was written at. */
export interface ToldRoute {
  readonly revision: number;
  readonly route: unknown;
}

/** A table in short: two that have the same are the same, but for one chance in four milliards. */
export interface TableDigest {
  /** Of the newest write. */
  readonly revision: number;
  readonly count: number;
  /** `entryDigest` of every host with its revision, joined by exclusive or. */
  readonly hash: number;
}

/** A change, and the one before it among those sent to this follower: so a lost one is noticed. */
interface Following {
  readonly revision: number;
  readonly previous: number;
}

/**
 * What a gateway hears about routes. Revisions come from the bus and only grow within one epoch; a bus
 * that lost its table begins a new one. The first event is always a snapshot of everything. Routes are
 * unparsed: a value that does not validate is the gateway's to quarantine, not a reason to stop.
 */
export type RouteEvent = { readonly epoch: string } & (
  | {
      readonly kind: 'snapshot';
      readonly revision: number;
      readonly routes: ReadonlyMap<string, ToldRoute>;
      /** The controller read everything there is: a much smaller table is meant. */
      readonly shrinkIntended: boolean;
    }
  | ({ readonly kind: 'put'; readonly host: string; readonly route: unknown } & Following)
  | ({ readonly kind: 'drop'; readonly host: string } & Following)
  /** No host changed, but a revision was used up. */
  | ({ readonly kind: 'mark' } & Following)
  /** What the controller's own table is; it comes by another way than changes and may overtake them. */
  | ({ readonly kind: 'beat' } & TableDigest)
);

export interface GatewayAck {
  readonly gateway: string;
  /** Of the table it serves. */
  readonly epoch: string;
  /** Every worker of this gateway applies the table of at least this revision. */
  readonly revision: number;
}

/** The table a reign begins with. */
export interface Begun {
  readonly revision: number;
  /** When each route became what it is: one that was there before keeps its revision. */
  readonly revisions: ReadonlyMap<string, number>;
  /** Of the pods in `kept`, as they were. */
  readonly kept: readonly Route[];
}

/**
 * The bus that carries routes from the one leading controller to all gateways.
 *
 * - Events of one host arrive in order of revision, none is lost while `follow` runs; after a gap
 *   the bus sends a new snapshot. A follower checks that by `previous` and by beats, and follows anew
 *   when it finds otherwise.
 * - `follow` yields nothing before the first `begin` of any leader: an empty bus is not an empty table.
 * - A gateway is live from its first `acknowledge` until it stops following, or was silent for so long
 *   that it must be gone.
 * - What is on another machine may throw `BusUnavailable` from `begin`, `put`, `drop` and `follow`. A
 *   write that threw may have happened; the next one of its host says what is.
 */
export interface RouteBus {
  /**
   * Controller: starts a reign with this table. Later writes with an older `token` throw `FencedOff`.
   * Pods in `kept` (`podKey`) have the routes they had: nobody knows better at the moment.
   */
  begin(token: number, routes: readonly Route[], kept?: ReadonlySet<string>): Promise<Begun>;
  /** Controller: returns the revision of this write; an unchanged route returns the one it has. */
  put(token: number, route: Route): Promise<number>;
  drop(token: number, host: string): Promise<number>;
  /**
   * Controller: tells all followers what the table is, best effort. Throws `FencedOff` when the reign is
   * known to be over, also because the bus lost its table: then a new one must begin.
   */
  beat(token: number, digest: TableDigest): Promise<void>;
  /** Controller: calls `changed` whenever a gateway joins, acknowledges or leaves. */
  onAcks(changed: () => void): () => void;
  /** Controller: live gateways with what they serve of the table of this epoch. */
  acks(): readonly GatewayAck[];
  /** Gateway. */
  follow(gateway: string, signal: AbortSignal): AsyncIterable<RouteEvent>;
  /** Gateway. */
  acknowledge(ack: GatewayAck): void;
}

/** The bus cannot be used at the moment. */
export class BusUnavailable extends Error {
  override readonly name = 'BusUnavailable';
}

/**
 * 32 bits that stand for one host at one revision (FNV-1a with a last mixing). Tables are compared by
 * the exclusive or of all, so a change costs two of these.
 */
export function entryDigest(host: string, revision: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < host.length; index += 1) {
    hash = Math.imul(hash ^ host.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (revision >>> 0), 0x01000193);
  hash = Math.imul(hash ^ Math.floor(revision / 2 ** 32), 0x01000193);
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0;
}
