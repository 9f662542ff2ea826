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

/**
 * What a gateway hears about routes. Revisions come from the bus and only grow. The first event is
 * always a snapshot of everything. `routes` and `route` are unparsed: a value that does not
 * validate is the gateway's to quarantine, not a reason to stop.
 */
export type RouteEvent =
  | {
      readonly kind: 'snapshot';
      readonly revision: number;
      readonly routes: ReadonlyMap<string, unknown>;
      /** The controller read everything there is: a much smaller table is meant. */
      readonly shrinkIntended: boolean;
    }
  | {
      readonly kind: 'put';
      readonly revision: number;
      readonly host: string;
      readonly route: unknown;
    }
  | { readonly kind: 'drop'; readonly revision: number; readonly host: string };

export interface GatewayAck {
  readonly gateway: string;
  /** Every worker of this gateway applies the table of at least this revision. */
  readonly revision: number;
}

/**
 * The bus that carries routes from the one leading controller to all gateways.
 *
 * - Events of one host arrive in order of revision, none is lost while `follow` runs; after a gap
 *   the bus sends a new snapshot.
 * - `follow` yields nothing before the first `begin` of any leader: an empty bus is not an empty table.
 * - A gateway is live from its first `acknowledge` until it stops following.
 */
export interface RouteBus {
  /** Controller: starts a reign. Later writes with an older `token` throw `FencedOff`. */
  begin(token: number, routes: readonly Route[]): Promise<number>;
  /** Controller: returns the revision of this write; an unchanged route returns the one it has. */
  put(token: number, route: Route): Promise<number>;
  drop(token: number, host: string): Promise<number>;
  /** Controller: calls `changed` whenever a gateway joins, acknowledges or leaves. */
  onAcks(changed: () => void): () => void;
  /** Controller: live gateways with what they serve. */
  acks(): readonly GatewayAck[];
  /** Gateway. */
  follow(gateway: string, signal: AbortSignal): AsyncIterable<RouteEvent>;
  /** Gateway. */
  acknowledge(ack: GatewayAck): void;
}
