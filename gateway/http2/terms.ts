import type { Http1Context, Peer } from '../http1/context.ts';
import type { Introductions } from '../http1/forwarding.ts';

/** What a stream starts with. */
export interface Http2Terms {
  readonly context: Http1Context;
  readonly peer: Peer;
  readonly introductions: Introductions;
  /** Nothing follows the head of the request. */
  readonly ended: boolean;
}
