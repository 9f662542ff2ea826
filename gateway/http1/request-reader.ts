import type { Limits } from '../limits.ts';
import { Refusal } from './fields.ts';
import { HeadBuffer } from './head-buffer.ts';
import type { RequestHead } from './request-head.ts';
import { LastFields, parseRequestHead } from './request-head.ts';

/** What a client sent and nobody used yet: an unfinished head, or requests that wait. */
export class RequestReader extends HeadBuffer {
  readonly #limits: Limits;
  readonly #last = new LastFields();

  constructor(limits: Limits) {
    super(limits);
    this.#limits = limits;
  }

  /** Until when the next head must be whole; the deadline so far is `deadlineMs`. */
  deadlineMs(nowMs: number, deadlineMs: number): number {
    if (this.length === 0) return nowMs + this.#limits.keepAliveMs;
    // More bytes of an unfinished head buy no more time.
    return Math.min(deadlineMs, nowMs + this.#limits.headMs);
  }

  /** The next request's head, which is then gone; undefined while it is not whole. */
  request(): RequestHead | Refusal | undefined {
    if (this.length === 0) return undefined;
    this.skipEmptyLines();
    const text = this.head();
    if (text === undefined) return undefined;
    if (text === null) return new Refusal(431, 'the head is too large');
    return parseRequestHead(text, this.#limits, { end: this.headEnd, last: this.#last });
  }
}
