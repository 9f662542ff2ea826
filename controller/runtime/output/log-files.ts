import { closeSync, constants, fstatSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import {
  entriesMax,
  entryBytes,
  outputFile,
  segmentBytesMax,
  segmentsKept,
  segmentStarts,
  timesApartMs,
  timesFile,
  writeEntry,
} from './segments.ts';

/** The segment that is being written. */
interface Segment {
  readonly start: number;
  readonly output: number;
  readonly times: number;
  size: number;
  entries: number;
}

/**
 * The output of a pod on disk: a segment grows up to its limit, then a new one begins. Writes are
 * synchronous, so a program that writes faster than the disk is slowed down by its full pipe instead
 * of filling memory.
 */
export class LogFiles {
  readonly #folder: string;
  readonly #nowMs: () => number;
  #segment: Segment;
  #notedMs = -Infinity;

  constructor(folder: string, nowMs: () => number) {
    this.#folder = folder;
    this.#nowMs = nowMs;
    this.#segment = openSegment(folder, segmentStarts(readdirSync(folder)).at(-1) ?? 0);
  }

  /** The position after all that was written. */
  get end(): number {
    return this.#segment.start + this.#segment.size;
  }

  close(): void {
    closeSync(this.#segment.output);
    closeSync(this.#segment.times);
  }

  append(bytes: Buffer): void {
    try {
      const { size, entries } = this.#segment;
      const full = size + bytes.length > segmentBytesMax || entries >= entriesMax;
      if (size > 0 && full) this.#begin(this.#segment.start + size);
      this.#noteTime();
      this.#write(bytes);
    } catch {
      // A full disk costs output, never the program.
    }
  }

  #write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const written = writeSync(this.#segment.output, bytes, at);
      at += written;
      this.#segment.size += written;
    }
  }

  /** Before the bytes, so that none are ever without a time. */
  #noteTime(): void {
    const nowMs = this.#nowMs();
    // Clocks go back, too.
    const elapsedMs = nowMs - this.#notedMs;
    if (elapsedMs >= 0 && elapsedMs < timesApartMs) return;
    const { times, entries, size } = this.#segment;
    writeSync(times, writeEntry(nowMs, size), 0, entryBytes, entries * entryBytes);
    this.#segment.entries += 1;
    this.#notedMs = nowMs;
  }

  #begin(start: number): void {
    const next = openSegment(this.#folder, start);
    closeSync(this.#segment.output);
    closeSync(this.#segment.times);
    this.#segment = next;
    this.#notedMs = -Infinity;
    for (const old of segmentStarts(readdirSync(this.#folder)).slice(0, -segmentsKept)) {
      rmSync(outputFile(this.#folder, old), { force: true });
      rmSync(timesFile(this.#folder, old), { force: true });
    }
  }
}

function openSegment(folder: string, start: number): Segment {
  // Entries are written where they belong: half of one, from a full disk, is written over.
  const times = openSync(timesFile(folder, start), constants.O_RDWR | constants.O_CREAT, 0o600);
  // Last, because readers look for it first.
  const output = openSync(outputFile(folder, start), 'a', 0o600);
  const entries = Math.floor(fstatSync(times).size / entryBytes);
  return { start, output, times, size: fstatSync(output).size, entries };
}
