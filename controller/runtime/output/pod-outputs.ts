import { EventEmitter } from 'node:events';
import type { Clock } from '#contracts/clock.ts';
import type { LogPiece, LogStart, LogWindow } from '#contracts/logs.ts';
import { followOutput } from './follow.ts';
import { takeSnapshot } from './snapshot.ts';

/** What pods of a runtime have written, in the folders of the pods. */
export class PodOutputs {
  readonly #clock: Clock;
  readonly #folder: (key: string) => string;
  readonly #removals = new EventEmitter().setMaxListeners(0);
  readonly #closed = new AbortController();

  constructor(clock: Clock, folder: (key: string) => string) {
    this.#clock = clock;
    this.#folder = folder;
  }

  /** As `Runtime.logs`. */
  async read(key: string, window: LogWindow = {}): Promise<string> {
    await using kept = await takeSnapshot(this.#folder(key));
    return (await kept.read(await kept.startOf(window), kept.end)).toString();
  }

  /** As `Runtime.followLogs`. */
  async *follow(key: string, start: LogStart, signal: AbortSignal): AsyncGenerator<LogPiece> {
    const removal = new AbortController();
    const removed = (): void => removal.abort();
    this.#removals.on(key, removed);
    const ended = AbortSignal.any([signal, this.#closed.signal]);
    try {
      const terms = { clock: this.#clock, signal: ended, removed: removal.signal };
      yield* followOutput(this.#folder(key), start, terms);
    } finally {
      this.#removals.off(key, removed);
    }
  }

  /** The pod is removed: who follows it is told its last words and no more. */
  removed(key: string): void {
    this.#removals.emit(key);
  }

  /** Ends all who follow. */
  close(): void {
    this.#closed.abort();
  }
}
