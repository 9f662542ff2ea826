/**
 * Time as an argument. `nowMs` is wall-clock time (it may jump), `monotonicMs` only ever grows and
 * is what deadlines and leases are measured with.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Milliseconds since an arbitrary fixed point; never goes back. */
  monotonicMs(): number;
  /** Calls `run` once after `delayMs`. The returned function cancels it; cancelling twice is fine. */
  after(delayMs: number, run: () => void): () => void;
  /** Resolves after `delayMs`; rejects with the signal's reason when `signal` aborts first. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** `sleep` of a clock that has `after`. */
export async function sleepBy(
  after: (delayMs: number, run: () => void) => () => void,
  delayMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const cancel = after(delayMs, resolve);
  const abort = (): void => {
    cancel();
    reject(signal?.reason);
  };
  signal?.addEventListener('abort', abort);
  try {
    await promise;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}
