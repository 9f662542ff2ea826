import type { Http1Context } from '../http1/context.ts';
import type { ExchangeClient } from './exchange.ts';

/** How long an exchange waits, and for whom, in its two halves. */

type Clocks = Pick<Http1Context, 'deadlines' | 'limits'>;

/** For the answer once the request is out; until then for the request, at `pace`. */
export function awaitAnswer(
  client: ExchangeClient,
  { deadlines, limits }: Clocks,
  pace: { readonly deadlineMs: number },
): void {
  client.deadlineMs = client.requestDone
    ? deadlines.nowMs + limits.responseHeadMs
    : pace.deadlineMs;
}

/** For the pod while the client reads, else for the client. */
export function awaitMore(
  client: ExchangeClient,
  { deadlines, limits }: Clocks,
  flowing: boolean,
): void {
  client.deadlineMs = deadlines.nowMs + (flowing ? limits.responseIdleMs : limits.bodyIdleMs);
}
