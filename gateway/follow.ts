import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';

const againMs = 1_000;

/**
 * Runs `follow` until the signal aborts, and again after a pause when it ends or fails: a feed that
 * breaks must not end a gateway that can serve what it last knew.
 */
export async function keepFollowing(
  feed: string,
  follow: () => Promise<void>,
  {
    clock,
    log,
    signal,
  }: { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    try {
      await follow();
    } catch (error) {
      if (!signal.aborted) log.error({ feed, error: String(error) }, 'a feed broke');
    }
    // Only the signal makes it reject.
    await clock.sleep(againMs, signal).catch(() => undefined);
  }
}
