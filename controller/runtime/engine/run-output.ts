import type { Clock } from '#contracts/clock.ts';
import { LogFiles } from '../output/log-files.ts';
import { takeSnapshot } from '../output/snapshot.ts';
import type { CopyTerms } from './copy-api.ts';
import { copyOutput, discardLog } from './output.ts';

// Lines that explain a failure; more belongs into the log.
const tailBytesMax = 2_000;
const tailLinesMax = 10;
/**
 * After the end of a container, without a word: an engine that is slower loses them. Docker on two
 * cores that eight others used has paused for more than 3 s.
 */
const lastWordsMs = 10_000;

type Terms = Omit<CopyTerms, 'folder' | 'files' | 'heard'> & { readonly run: number };

/** What one run writes, on its way from the engine to the files of its pod. */
export class RunOutput {
  readonly #folder: string;
  #copying: Promise<void> = Promise.resolve();
  /** When something came last. */
  #heardMs = -Infinity;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Copies from now on. */
  begin({ run, ...terms }: Terms, engine: 'Docker' | 'Podman'): void {
    const { clock } = terms;
    const files = new LogFiles(this.#folder, () => clock.nowMs());
    const heard = (): void => {
      this.#heardMs = clock.monotonicMs();
    };
    const copying = copyOutput({ ...terms, folder: this.#folder, files, heard }, run, engine);
    this.#copying = copying.catch(() => undefined).finally(() => files.close());
  }

  /** The container has ended: resolves when all is copied, or when nothing more comes. */
  async copied(clock: Clock): Promise<void> {
    const done = this.#copying.then(() => true);
    const startedMs = clock.monotonicMs();
    for (let copied = false; !copied;) {
      const waitMs = Math.max(startedMs, this.#heardMs) + lastWordsMs - clock.monotonicMs();
      if (waitMs <= 0) return;
      const waiting = new AbortController();
      const late = clock.sleep(waitMs, waiting.signal).then(
        () => false,
        () => false,
      );
      copied = await Promise.race([done, late]);
      waiting.abort();
    }
  }

  /** Of what was written after a position: '' when nothing was, or when it cannot be read. */
  async lastLines(start: number): Promise<string> {
    try {
      await using kept = await takeSnapshot(this.#folder);
      const lines = await kept.startOf({ tail: tailLinesMax });
      const from = Math.max(lines, start, kept.end - tailBytesMax);
      return (await kept.read(from, kept.end)).toString().trimEnd();
    } catch {
      return '';
    }
  }

  /** The container is gone: the engine's own copy is of no use any more. */
  discardOriginal(run: number): void {
    discardLog(this.#folder, run);
  }
}
