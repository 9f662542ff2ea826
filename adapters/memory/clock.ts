import type { Clock } from '#contracts/clock.ts';
import { sleepBy } from '#contracts/clock.ts';

/** A clock that stands until it is advanced: months of renewals in a millisecond. */
export class ManualClock implements Clock {
  readonly #timers = new Set<{ atMs: number; run: () => void }>();
  readonly #startMs: number;
  #elapsedMs = 0;

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#startMs = startMs;
  }

  nowMs(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#elapsedMs + delayMs, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepBy((ms, run) => this.after(ms, run), delayMs, signal);
  }

  /** Runs every timer that falls due, in order, and lets what they started settle. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#elapsedMs + byMs;
    for (;;) {
      await settle();
      const due = [...this.#timers]
        .filter((timer) => timer.atMs <= untilMs)
        .toSorted((a, b) => a.atMs - b.atMs)[0];
      if (!due) break;
      this.#elapsedMs = Math.max(this.#elapsedMs, due.atMs);
      this.#timers.delete(due);
      due.run();
    }
    this.#elapsedMs = untilMs;
    await settle();
  }
}

/** Promise chains of the code under test, and the I/O callbacks they wait for, get their turn. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1)
    await new Promise<void>((resolve) => setImmediate(resolve));
}
