import type { Http1Context, Peer } from '../http1/context.ts';
import type { Introductions } from '../http1/forwarding.ts';
import type { LastFields } from '../http1/request-head.ts';

/** What a stream starts with. */
export interface Http2Terms {
  readonly context: Http1Context;
  readonly peer: Peer;
  readonly introductions: Introductions;
  /** Of the connection's request before. */
  readonly last: LastFields;
  /** Called when the stream is. */
  readonly closed: () => void;
  /** Nothing follows the head of the request. */
  readonly ended: boolean;
}
