import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '#contracts/clock.ts';

/** The machine's time. Timers keep the process alive: what should not outlive a stop is cancelled. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  sleep: async (delayMs, signal) => {
    try {
      await sleep(delayMs, undefined, signal ? { signal } : {});
    } catch (error) {
      // Node wraps the reason in an AbortError; callers were promised the reason itself.
      signal?.throwIfAborted();
      throw error;
    }
  },
};
