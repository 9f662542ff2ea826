import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { z } from 'zod';
import { CopiedPlace } from './copied-place.ts';
import type { CopyTerms } from './copy-api.ts';

const lookMs = 100;
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
  copy.place.note();
}

class Copy implements Disposable {
  readonly #file: string;
  readonly #terms: CopyTerms;
  readonly #buffer = Buffer.alloc(chunkBytes);
  readonly place: CopiedPlace<Place>;
  #fd: number | undefined;

  constructor(file: string, terms: CopyTerms) {
    this.#file = file;
    this.#terms = terms;
    const { container, files } = terms;
    const first = { container, offset: files.end, inode: 0, position: 0 };
    this.place = new CopiedPlace(terms, zPlace, first);
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }

  /** Copies a piece; false when there is nothing new. */
  look(): boolean {
    this.#fd ??= this.#open();
    if (this.#fd === undefined) return false;
    const length = readSync(this.#fd, this.#buffer, 0, chunkBytes, this.place.at.position);
    const whole = this.#buffer.subarray(0, length).lastIndexOf(newline) + 1;
    // A line that does not fit is none of Podman's, which cuts at 8 KiB.
    const taken = whole === 0 && length === chunkBytes ? length : whole;
    if (taken > 0) {
      this.#take(this.#buffer.subarray(0, taken));
      return true;
    }
    return this.#replaced();
  }

  #open(): number | undefined {
    try {
      const fd = openSync(this.#file, 'r');
      const { ino: inode } = fstatSync(fd);
      if (inode !== this.place.at.inode) this.place.move({ inode, position: 0 });
      return fd;
    } catch {
      return undefined;
    }
  }

  /** The old file is read to its end: goes on with the one that has its name now. */
  #replaced(): boolean {
    try {
      if (statSync(this.#file).ino === this.place.at.inode) return false;
    } catch {
      return false;
    }
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    return true;
  }

  #take(lines: Buffer): void {
    this.#terms.heard();
    const position = this.place.at.position + lines.length;
    this.place.take(textOf(lines), { position });
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
