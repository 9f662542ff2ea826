import type { FileHandle } from 'node:fs/promises';
import { open, readdir, readFile } from 'node:fs/promises';
import type { LogWindow } from '#contracts/logs.ts';
import { errorCode } from '../error-code.ts';
import {
  entryBytes,
  outputFile,
  readEntry,
  segmentsKept,
  segmentStarts,
  timesApartMs,
  timesFile,
} from './segments.ts';

interface Segment {
  readonly start: number;
  readonly end: number;
  readonly handle: FileHandle;
}

const blockBytes = 64 * 1024;
const newline = 0x0a;

/** The output that is kept at one moment, readable whatever is written and dropped meanwhile. */
export class Snapshot implements AsyncDisposable {
  readonly #folder: string;
  readonly #segments: readonly Segment[];

  constructor(folder: string, segments: readonly Segment[]) {
    this.#folder = folder;
    this.#segments = segments;
  }

  /** The oldest position that is kept. */
  get start(): number {
    return this.#segments[0]?.start ?? 0;
  }

  get end(): number {
    return this.#segments.at(-1)?.end ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#segments.map(({ handle }) => handle.close()));
  }

  /** The bytes between two positions. */
  async read(from: number, to: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (const { start, end, handle } of this.#segments) {
      const first = Math.max(from, start);
      const length = Math.min(to, end) - first;
      if (length <= 0) continue;
      const { bytesRead, buffer } = await handle.read(
        Buffer.alloc(length),
        0,
        length,
        first - start,
      );
      parts.push(buffer.subarray(0, bytesRead));
    }
    return Buffer.concat(parts);
  }

  /** Where a window begins. */
  async startOf({ tail, sinceMs }: LogWindow): Promise<number> {
    const byLines = tail === undefined ? this.start : await this.#lastLines(tail);
    const byTime = sinceMs === undefined ? this.start : await this.#writtenSince(sinceMs);
    return Math.max(byLines, byTime);
  }

  async #lastLines(count: number): Promise<number> {
    if (count === 0) return this.end;
    const [last] = await this.read(this.end - 1, this.end);
    return this.#afterNewline(last === newline ? this.end - 1 : this.end, count);
  }

  /** Right after the newline that is the `count`th before a position. */
  async #afterNewline(before: number, count: number): Promise<number> {
    let left = count;
    for (let end = before; end > this.start;) {
      const start = Math.max(this.start, end - blockBytes);
      const block = await this.read(start, end);
      for (let at = block.lastIndexOf(newline); at !== -1;) {
        left -= 1;
        if (left === 0) return start + at + 1;
        at = at === 0 ? -1 : block.lastIndexOf(newline, at - 1);
      }
      end = start;
    }
    return this.start;
  }

  /** From the newest entry back, so that a clock that was set wrong long ago does no harm. */
  async #writtenSince(sinceMs: number): Promise<number> {
    let found = this.end;
    for (const { start } of this.#segments.toReversed()) {
      const entries = await readTimes(this.#folder, start);
      for (let index = Math.floor(entries.length / entryBytes) - 1; index >= 0; index -= 1) {
        const { atMs, offset } = readEntry(entries, index);
        if (atMs + timesApartMs <= sinceMs) return this.#wholeLine(found);
        found = Math.min(found, start + offset);
      }
    }
    return this.#wholeLine(found);
  }

  /** A line whose end was written is shown from its beginning. */
  async #wholeLine(position: number): Promise<number> {
    return position === this.end ? position : this.#afterNewline(position, 1);
  }
}

/** What is kept of a pod's output now; nothing when it never wrote. */
export async function takeSnapshot(folder: string): Promise<Snapshot> {
  for (;;) {
    const starts = segmentStarts(await namesIn(folder)).slice(-segmentsKept);
    const opened = await Promise.all(starts.map((start) => openSegment(folder, start)));
    const segments = opened.filter((segment) => segment !== undefined);
    const [newest] = opened.slice(-1);
    if (newest || starts.length === 0) return new Snapshot(folder, bounded(segments, newest?.end));
    // A program that wrote 10 MB since the names were read: read them again.
    await Promise.all(segments.map(({ handle }) => handle.close()));
  }
}

/** A segment ends where the next one begins, however far it had come when it was opened. */
const bounded = (segments: readonly Segment[], end = 0): Segment[] =>
  segments.map((segment, index) => ({ ...segment, end: segments[index + 1]?.start ?? end }));

async function openSegment(folder: string, start: number): Promise<Segment | undefined> {
  const handle = await openOutput(folder, start);
  return handle && { start, end: start + (await handle.stat()).size, handle };
}

/** Undefined when it has been dropped. */
export const openOutput = (folder: string, start: number): Promise<FileHandle | undefined> =>
  unlessGone(open(outputFile(folder, start)), undefined);

export const namesIn = (folder: string): Promise<string[]> => unlessGone(readdir(folder), []);

const readTimes = (folder: string, start: number): Promise<Buffer> =>
  unlessGone(readFile(timesFile(folder, start)), Buffer.alloc(0));

async function unlessGone<T, U>(found: Promise<T>, otherwise: U): Promise<T | U> {
  try {
    return await found;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return otherwise;
    throw error;
  }
}
