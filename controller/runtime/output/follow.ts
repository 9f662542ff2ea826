import type { FSWatcher } from 'node:fs';
import { watch } from 'node:fs';
import type { Clock } from '#contracts/clock.ts';
import type { LogPiece, LogStart } from '#contracts/logs.ts';
import { OutputReader } from './reader.ts';
import { takeSnapshot } from './snapshot.ts';

/** Between two looks: the file system tells sooner where it can; where it cannot, this is the delay. */
const lookMs = 1_000;
/** A pod that never ran has no folder that could be watched. */
const noFolderMs = 200;

interface FollowTerms {
  readonly clock: Clock;
  /** Ends it at once. */
  readonly signal: AbortSignal;
  /** The pod is being removed: what is written is all there will be. */
  readonly removed: AbortSignal;
}

/** The output of a pod from a place on, as `PodLogs.follow` promises it. */
export async function* followOutput(
  folder: string,
  start: LogStart,
  { clock, signal, removed }: FollowTerms,
): AsyncGenerator<LogPiece> {
  const { position, gap } = await placeOf(folder, start);
  using changes = new Changes(folder, clock, [signal, removed]);
  await using reader = new OutputReader(folder, position, gap);
  while (!signal.aborted) {
    // Asked before the look: what was written until then is still shown.
    const last = removed.aborted;
    const piece = await reader.next();
    if (piece) {
      const { bytes, end, gap: missed } = piece;
      yield { text: bytes.toString(), cursor: String(end), gap: missed };
    } else if (last) return;
    else await changes.next();
  }
}

/** A cursor that is not from this output leads to its beginning. */
async function placeOf(
  folder: string,
  start: LogStart,
): Promise<{ readonly position: number; readonly gap: boolean }> {
  await using kept = await takeSnapshot(folder);
  if (!('after' in start)) return { position: await kept.startOf(start), gap: false };
  const position = /^\d{1,15}$/.test(start.after) ? Number(start.after) : -1;
  const known = position >= kept.start && position <= kept.end;
  return known ? { position, gap: false } : { position: kept.start, gap: true };
}

/** Tells when to look at a folder again. */
class Changes implements Disposable {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #signals: readonly AbortSignal[];
  readonly #wake = (): void => {
    this.#changed = true;
    this.#waiting?.();
  };
  #watcher: FSWatcher | undefined;
  #changed = false;
  #waiting: (() => void) | undefined;

  constructor(folder: string, clock: Clock, signals: readonly AbortSignal[]) {
    this.#folder = folder;
    this.#clock = clock;
    this.#signals = signals;
    for (const signal of signals) signal.addEventListener('abort', this.#wake);
    this.#watch();
  }

  [Symbol.dispose](): void {
    for (const signal of this.#signals) signal.removeEventListener('abort', this.#wake);
    this.#watcher?.close();
  }

  /** Resolves when something has changed since the call before, and now and then. */
  async next(): Promise<void> {
    if (!this.#watcher) this.#watch();
    if (!this.#changed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting = resolve;
      const cancel = this.#clock.after(this.#watcher ? lookMs : noFolderMs, resolve);
      await promise;
      cancel();
    }
    this.#waiting = undefined;
    this.#changed = false;
  }

  /** The folder may not be there yet, and a machine has only so many watches. */
  #watch(): void {
    try {
      const watcher = watch(this.#folder, { persistent: false }, this.#wake);
      watcher.once('error', () => {
        watcher.close();
        this.#watcher = undefined;
      });
      this.#watcher = watcher;
      // What came before was not heard.
      this.#changed = true;
    } catch {
      this.#watcher = undefined;
    }
  }
}
