import type { Clock } from '#contracts/clock.ts';

export interface Rate {
  readonly perSecond: number;
  readonly atOnce: number;
}

/** What presses may use so much of a rate that others use up: those go on, more slowly. */
const pressingShare = 0.8;

/**
 * Lets so many through at once and so many a second on average; the others wait in turn. What presses
 * waits for its like only. Those that wait already keep their turn, so for a moment it may be more.
 */
export class RateLimit {
  readonly #clock: Clock;
  readonly #all: Bucket;
  readonly #pressing: Bucket;

  constructor(clock: Clock, { perSecond, atOnce }: Rate) {
    const nowMs = clock.monotonicMs();
    this.#clock = clock;
    this.#all = new Bucket({ perSecond, atOnce }, nowMs);
    const share = { perSecond: perSecond * pressingShare, atOnce };
    this.#pressing = new Bucket(share, nowMs);
  }

  /** Resolves when it is our turn; rejects with the signal's reason when that aborts first. */
  async take(signal: AbortSignal, urgency: 'patient' | 'pressing'): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const inTurnMs = this.#all.take(nowMs);
    const waitMs =
      urgency === 'pressing' ? Math.min(inTurnMs, this.#pressing.take(nowMs)) : inTurnMs;
    if (waitMs > 0) await this.#clock.sleep(waitMs, signal);
  }
}

class Bucket {
  readonly #rate: Rate;
  #tokens: number;
  #atMs: number;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#tokens = rate.atOnce;
    this.#atMs = nowMs;
  }

  /** Takes a token, of those that come later if need be; after how long it is there. */
  take(nowMs: number): number {
    const { perSecond, atOnce } = this.#rate;
    const earned = ((nowMs - this.#atMs) / 1_000) * perSecond;
    this.#tokens = Math.min(atOnce, this.#tokens + earned) - 1;
    this.#atMs = nowMs;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / perSecond) * 1_000;
  }
}
