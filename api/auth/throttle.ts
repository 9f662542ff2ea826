import type { Clock } from '#contracts/clock.ts';

const failuresMax = 10; // far more than a person mistypes in the window
const windowMs = 60_000;
const namesMax = 10_000; // bounds the memory a guesser of names can take

/** Slows down guessing: after too many failures for one name, tries are refused for a while. */
export class LoginThrottle {
  readonly #clock: Clock;
  readonly #failures = new Map<string, { count: number; untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whole seconds to wait before the next try for `name`; 0 when it may go ahead. */
  waitSeconds(name: string): number {
    const entry = this.#failures.get(name);
    if (!entry || entry.count < failuresMax) return 0;
    return Math.max(0, Math.ceil((entry.untilMs - this.#clock.monotonicMs()) / 1000));
  }

  failed(name: string): void {
    const nowMs = this.#clock.monotonicMs();
    const entry = this.#failures.get(name);
    const count = entry && entry.untilMs > nowMs ? entry.count + 1 : 1;
    this.#failures.delete(name);
    this.#failures.set(name, { count, untilMs: nowMs + windowMs });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > namesMax && oldest !== undefined) this.#failures.delete(oldest);
  }

  succeeded(name: string): void {
    this.#failures.delete(name);
  }
}
