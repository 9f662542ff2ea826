import type { Http1Context } from '../http1/context.ts';
import type { CountedLimit } from '../observe/report.ts';
import { ConnectionFault, errors } from './protocol.ts';

type Clocks = Pick<Http1Context, 'deadlines' | 'meters'>;

/** Something that costs us more than the client that does it: so many at once, and so many a second. */
export class FloodGuard {
  readonly #context: Clocks;
  readonly #limit: CountedLimit;
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #atMs: number;

  constructor(
    context: Clocks,
    limit: CountedLimit,
    { burst, perSecond }: { readonly burst: number; readonly perSecond: number },
  ) {
    this.#context = context;
    this.#limit = limit;
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
    this.#atMs = context.deadlines.nowMs;
  }

  /** One more. Throws a `ConnectionFault` when it is one too many. */
  spend(): void {
    const { nowMs } = this.#context.deadlines;
    const refilled = this.#left + ((nowMs - this.#atMs) / 1_000) * this.#perSecond;
    this.#atMs = nowMs;
    this.#left = Math.min(this.#burst, refilled) - 1;
    if (this.#left >= 0) return;
    this.#context.meters.limitHit(this.#limit);
    throw new ConnectionFault(errors.enhanceYourCalm, this.#limit);
  }
}

/** Those of a connection. */
export interface FloodGuards {
  /** Streams that end before their time, by whomever. */
  readonly resets: FloodGuard;
  /** What wants an answer. */
  readonly control: FloodGuard;
  /** What does nothing. */
  readonly idle: FloodGuard;
}

export function floodGuards(context: Clocks & Pick<Http1Context, 'limits'>): FloodGuards {
  const { limits } = context;
  return {
    resets: new FloodGuard(context, 'h2ResetsPerSecond', {
      burst: limits.h2ResetsBurst,
      perSecond: limits.h2ResetsPerSecond,
    }),
    control: new FloodGuard(context, 'h2ControlFramesPerSecond', {
      burst: limits.h2ControlFramesBurst,
      perSecond: limits.h2ControlFramesPerSecond,
    }),
    idle: new FloodGuard(context, 'h2IdleFramesPerSecond', {
      burst: limits.h2IdleFramesBurst,
      perSecond: limits.h2IdleFramesPerSecond,
    }),
  };
}
