import type { Clock } from '#contracts/clock.ts';

const triesMax = 10; // far more than a person mistypes in the window
const windowMs = 60_000;
const namesMax = 10_000; // bounds the memory a guesser of names can take

/**
 * Slows down guessing: after too many tries for one name without a success, more are refused for a
 * while. A try counts when it begins, so guesses sent all at once gain nothing.
 */
export class LoginThrottle {
  readonly #clock: Clock;
  readonly #tries = new Map<string, { count: number; untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whole seconds to wait before the next try for `name`; 0 when it may go ahead. */
  waitSeconds(name: string): number {
    const entry = this.#tries.get(name);
    if (!entry || entry.count < triesMax) return 0;
    return Math.max(0, Math.ceil((entry.untilMs - this.#clock.monotonicMs()) / 1000));
  }

  tried(name: string): void {
    const nowMs = this.#clock.monotonicMs();
    const entry = this.#tries.get(name);
    const count = entry && entry.untilMs > nowMs ? entry.count + 1 : 1;
    this.#tries.delete(name);
    this.#tries.set(name, { count, untilMs: nowMs + windowMs });
    const [oldest] = this.#tries.keys();
    if (this.#tries.size > namesMax && oldest !== undefined) this.#tries.delete(oldest);
  }

  succeeded(name: string): void {
    this.#tries.delete(name);
  }
}
