import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { CopyTerms } from './copy-api.ts';

const lookMs = 100;
const noteMs = 250;
const chunkBytes = 256 * 1024;
const newline = 0x0a;
const space = 0x20;
const partial = 'P'.charCodeAt(0);

/** How far a file has been copied. */
const zPlace = z.strictObject({
  container: z.string(),
  /** Which file: a new one takes the name when the old one is full. */
  inode: z.int(),
  /** After the last whole line that was copied. */
  position: z.int(),
  /** End of our output after it. */
  offset: z.int(),
});
type Place = z.infer<typeof zPlace>;

/**
 * Copies what a container writes from the file that its engine keeps (a line is `<time> <stream>
 * <F or P> <text>`, where P stands for one that goes on), as `copyFromApi` does. Podman's API is no
 * way to follow a program: it leaves out what comes faster than it likes.
 */
export async function copyFromFile(file: string, terms: CopyTerms): Promise<void> {
  const { clock, signal, goesOn } = terms;
  using copy = new Copy(file, terms);
  while (!signal.aborted) {
    // Asked before the look: what was written until then is still copied.
    const ended = !goesOn();
    const found = copy.look();
    if (ended && !found) break;
    if (!found) await clock.sleep(lookMs, signal).catch(() => undefined);
    else await new Promise((resolve) => setImmediate(resolve));
  }
  copy.note();
}

class Copy implements Disposable {
  readonly #file: string;
  readonly #terms: CopyTerms;
  readonly #buffer = Buffer.alloc(chunkBytes);
  #place: Place;
  #surplus: number;
  #fd: number | undefined;
  #notedMs = -Infinity;

  constructor(file: string, terms: CopyTerms) {
    this.#file = file;
    this.#terms = terms;
    const noted = readPlace(terms.folder);
    const { container, files } = terms;
    this.#place =
      noted?.container === container
        ? noted
        : { container, inode: 0, position: 0, offset: files.end };
    this.#surplus = Math.max(0, files.end - this.#place.offset);
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }

  /** Copies a piece; false when there is nothing new. */
  look(): boolean {
    this.#fd ??= this.#open();
    if (this.#fd === undefined) return false;
    const length = readSync(this.#fd, this.#buffer, 0, chunkBytes, this.#place.position);
    const whole = this.#buffer.subarray(0, length).lastIndexOf(newline) + 1;
    // A line that does not fit is none of Podman's, which cuts at 8 KiB.
    const taken = whole === 0 && length === chunkBytes ? length : whole;
    if (taken > 0) {
      this.#take(this.#buffer.subarray(0, taken));
      return true;
    }
    return this.#replaced();
  }

  note(): void {
    this.#notedMs = this.#terms.clock.monotonicMs();
    const file = placeFile(this.#terms.folder);
    try {
      writeFileSync(`${file}.new`, JSON.stringify(this.#place), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch {
      // The pod was removed meanwhile, or the disk is full: then some of it may come twice.
    }
  }

  #open(): number | undefined {
    try {
      const fd = openSync(this.#file, 'r');
      const { ino: inode } = fstatSync(fd);
      if (inode !== this.#place.inode) this.#place = { ...this.#place, inode, position: 0 };
      return fd;
    } catch {
      return undefined;
    }
  }

  /** The old file is read to its end: goes on with the one that has its name now. */
  #replaced(): boolean {
    try {
      if (statSync(this.#file).ino === this.#place.inode) return false;
    } catch {
      return false;
    }
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    return true;
  }

  #take(lines: Buffer): void {
    const { files, clock, heard } = this.#terms;
    heard();
    const bytes = textOf(lines);
    const fresh = bytes.subarray(Math.min(bytes.length, this.#surplus));
    this.#surplus -= bytes.length - fresh.length;
    if (fresh.length > 0) files.append(fresh);
    const { position, offset } = this.#place;
    this.#place = {
      ...this.#place,
      position: position + lines.length,
      offset: offset + bytes.length,
    };
    if (clock.monotonicMs() - this.#notedMs >= noteMs) this.note();
  }
}

/** What the program wrote, of whole lines of such a file. */
export function textOf(lines: Buffer): Buffer {
  const text = Buffer.alloc(lines.length);
  let length = 0;
  for (let at = 0; at < lines.length;) {
    const found = lines.indexOf(newline, at);
    const end = found === -1 ? lines.length : found;
    const stream = lines.indexOf(space, at) + 1;
    const tag = lines.indexOf(space, stream) + 1;
    const from = tag + 2;
    const goesOn = lines[tag] === partial;
    if (from <= end) length += lines.copy(text, length, from, goesOn ? end : end + 1);
    at = end + 1;
  }
  return text.subarray(0, length);
}

const placeFile = (folder: string): string => join(folder, 'copied.json');

function readPlace(folder: string): Place | undefined {
  try {
    return zPlace.safeParse(JSON.parse(readFileSync(placeFile(folder), 'utf8'))).data;
  } catch {
    return undefined;
  }
}
