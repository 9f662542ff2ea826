import type { Clock } from '#contracts/clock.ts';

// A pod is usually up within a few hundred milliseconds, and somebody waits for it.
const firstMs = 10;
const slowestMs = 1_000;
const allListenMs = 5_000;

/**
 * Looks at the networks of a run again and again, soon at first and rarely once all listen. `look`
 * resolves with whether all do; ends when `signal` aborts.
 */
export async function keepLooking(
  clock: Clock,
  signal: AbortSignal,
  look: () => Promise<boolean>,
): Promise<void> {
  let delayMs = firstMs;
  while (!signal.aborted) {
    await clock.sleep(delayMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    delayMs = (await look()) ? allListenMs : Math.min(slowestMs, delayMs * 1.5);
  }
}
