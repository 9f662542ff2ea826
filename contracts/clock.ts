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
