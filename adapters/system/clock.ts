import type { Clock } from '#contracts/clock.ts';
import { sleepBy } from '#contracts/clock.ts';

// setTimeout fires at once for more: 2^31 - 1 ms are less than 25 days.
const timeoutMax = 2 ** 31 - 1;

/** The machine's time. Timers keep the process alive: what should not outlive a stop is cancelled. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after,
  sleep: (delayMs, signal) => sleepBy(after, delayMs, signal),
};

function after(delayMs: number, run: () => void): () => void {
  const dueMs = performance.now() + delayMs;
  let timer: NodeJS.Timeout;
  const arm = (leftMs: number): void => {
    timer = setTimeout(
      () => {
        // Libuv rounds to whole milliseconds and may fire a fraction early.
        const stillMs = dueMs - performance.now();
        if (stillMs > 0) arm(Math.ceil(stillMs));
        else run();
      },
      // What is overdue, as after a process was stopped, is done at once.
      Math.min(Math.max(0, leftMs), timeoutMax),
    );
  };
  arm(delayMs);
  return () => clearTimeout(timer);
}
