import { join } from 'node:path';

/**
 * How the output of a pod lies on disk: in segments that are named by how much was written before
 * them, so that every byte has one position for as long as the pod is there. Beside each lies when
 * it was written. Nothing is ever renamed; the oldest segment goes when a new one begins.
 */

/** Of one segment; with those kept it makes the newest 10 MB. */
export const segmentBytesMax = 5_000_000;
export const segmentsKept = 2;

export const outputFile = (folder: string, start: number): string =>
  join(folder, `output.${start}`);
export const timesFile = (folder: string, start: number): string => join(folder, `times.${start}`);

/** Where the segments begin, oldest first, by the names of the files in the folder. */
export const segmentStarts = (names: readonly string[]): number[] =>
  names
    .flatMap((name) => /^output\.(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .toSorted((a, b) => a - b);

/** What is between two entries was written at the time of the first, or less than this later. */
export const timesApartMs = 1_000;

/** Bytes of an entry: milliseconds since the epoch (6), then the offset in the segment (4). */
export const entryBytes = 10;

/** Enough for four days of a line each second; a segment that has more gives way to a new one. */
export const entriesMax = 350_000;

export function writeEntry(atMs: number, offset: number): Buffer {
  const entry = Buffer.alloc(entryBytes);
  entry.writeUIntBE(atMs, 0, 6);
  entry.writeUInt32BE(offset, 6);
  return entry;
}

export const readEntry = (
  entries: Buffer,
  index: number,
): { readonly atMs: number; readonly offset: number } => ({
  atMs: entries.readUIntBE(index * entryBytes, 6),
  offset: entries.readUInt32BE(index * entryBytes + 6),
});
