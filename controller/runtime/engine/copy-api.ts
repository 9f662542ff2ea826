import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { LogFiles } from '../output/log-files.ts';
import { CopiedPlace } from './copied-place.ts';
import type { Engine } from './engine.ts';
import { isNotFound } from './engine.ts';

const againMs = 500;
const headBytes = 8;

/** How far a container's output has been copied. */
const zPlace = z.strictObject({
  container: z.string(),
  /** Time of the newest frame, as the engine writes it; '' before the first. */
  time: z.string(),
  /** Frames of that time, all copied. */
  frames: z.int(),
  /** End of our output after them. */
  offset: z.int(),
});
type Place = z.infer<typeof zPlace>;

export interface CopyTerms {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly container: string;
  /** Of the pod. */
  readonly folder: string;
  readonly files: LogFiles;
  /** Whether more may come once the engine says that this was all. */
  readonly goesOn: () => boolean;
  /** Called as often as something comes. */
  readonly heard: () => void;
  readonly signal: AbortSignal;
}

/**
 * Copies what a container writes to the files of its pod, as the engine's API tells it, from where
 * an earlier controller was, exactly: frames that were copied are counted, and bytes that were copied
 * after the last note are left out. Resolves when the container has ended and everything is copied.
 */
export async function copyFromApi(terms: CopyTerms): Promise<void> {
  const { clock, signal, goesOn } = terms;
  const copy = new Copy(terms);
  do {
    const ended = !goesOn();
    try {
      await copy.follow();
    } catch (error) {
      if (isNotFound(error)) break;
      // An engine that has gone away: it is asked again as long as the container runs.
    }
    if (ended) break;
    await clock.sleep(againMs, signal).catch(() => undefined);
  } while (!signal.aborted);
  copy.place.note();
}

class Copy {
  readonly #terms: CopyTerms;
  readonly place: CopiedPlace<Place>;

  constructor(terms: CopyTerms) {
    this.#terms = terms;
    const { container, files } = terms;
    const first = { container, offset: files.end, time: '', frames: 0 };
    this.place = new CopiedPlace(terms, zPlace, first);
  }

  async follow(): Promise<void> {
    const { engine, container, signal, heard } = this.#terms;
    const { time, frames } = this.place.at;
    const options = {
      follow: true,
      stdout: true,
      stderr: true,
      timestamps: true,
      abortSignal: signal,
      ...(time && { since: secondsOf(time) }),
    } as const;
    const answer = await engine.stream((docker) => docker.getContainer(container).logs(options));
    // Only what comes before the place we have been at: later, clocks may go back.
    let known = time === '' ? 0 : frames;
    let before = time !== '';
    for await (const batch of framesOf(answer)) {
      heard();
      const fresh = batch.filter(({ at }) => {
        if (before && at < time) return false;
        if (at === time && known > 0) {
          known -= 1;
          return false;
        }
        before = false;
        return true;
      });
      this.#take(fresh);
    }
  }

  /** Together, as a program that writes much writes many short lines. */
  #take(batch: readonly Frame[]): void {
    const last = batch.at(-1);
    if (!last) return;
    const bytes = Buffer.concat(batch.map((frame) => frame.bytes));
    const alike = batch.filter(({ at }) => at === last.at).length;
    const { time, frames } = this.place.at;
    this.place.take(bytes, { time: last.at, frames: (last.at === time ? frames : 0) + alike });
  }
}

/** Docker keeps nanoseconds, which a number of milliseconds cannot say. */
function secondsOf(time: string): number | string {
  const [, fraction = ''] = /\.(\d+)/.exec(time) ?? [];
  const seconds = Math.floor(Date.parse(time) / 1_000);
  return fraction === '' ? seconds : `${seconds}.${fraction.padEnd(9, '0')}`;
}

interface Frame {
  readonly at: string;
  readonly bytes: Buffer;
}

/**
 * Frames of an answer, as many at once as have come: a head of eight bytes, the last four of which
 * are the length, then a time, a space and a text.
 */
async function* framesOf(answer: NodeJS.ReadableStream): AsyncGenerator<readonly Frame[]> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of answer) {
    rest = Buffer.concat([rest, Buffer.from(chunk)]);
    const frames: Frame[] = [];
    let at = 0;
    while (rest.length - at >= headBytes) {
      const end = at + headBytes + rest.readUInt32BE(at + 4);
      if (end > rest.length) break;
      frames.push(split(rest.subarray(at + headBytes, end)));
      at = end;
    }
    rest = rest.subarray(at);
    yield frames;
  }
}

function split(frame: Buffer): Frame {
  const space = frame.indexOf(0x20);
  return { at: frame.toString('latin1', 0, space), bytes: frame.subarray(space + 1) };
}
