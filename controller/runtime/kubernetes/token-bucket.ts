import type { Clock } from '#contracts/clock.ts';

/** Lets so many through at once and so many a second on average; the others wait in turn. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #max: number;
  #tokens: number;
  #atMs: number;

  constructor(clock: Clock, perSecond: number, max: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#max = max;
    this.#tokens = max;
    this.#atMs = clock.monotonicMs();
  }

  /** Resolves when it is our turn; rejects with the signal's reason when that aborts first. */
  async take(signal: AbortSignal): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const earned = ((nowMs - this.#atMs) / 1_000) * this.#perSecond;
    this.#tokens = Math.min(this.#max, this.#tokens + earned) - 1;
    this.#atMs = nowMs;
    if (this.#tokens >= 0) return;
    await this.#clock.sleep((-this.#tokens / this.#perSecond) * 1_000, signal);
  }
}
