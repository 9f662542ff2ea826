import type { FileHandle } from 'node:fs/promises';
import { segmentStarts } from './segments.ts';
import { namesIn, openOutput } from './snapshot.ts';

/** The most that a reader takes at once, and holds. */
export const pieceBytesMax = 64 * 1024;

const nothing = Buffer.alloc(0);

/** Reads output from a position on, segment after segment, while it is written. */
export class OutputReader implements AsyncDisposable {
  readonly #folder: string;
  #segment: { readonly start: number; readonly handle: FileHandle } | undefined;
  /** Of what is read next. */
  #position: number;
  /** The beginning of a character whose end was not there. */
  #begun: Buffer = nothing;
  #gap: boolean;

  /** `gap`: what was before this position could not be read. */
  constructor(folder: string, position: number, gap: boolean) {
    this.#folder = folder;
    this.#position = position;
    this.#gap = gap;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#segment?.handle.close();
  }

  /** What comes next, in whole characters, and where it ends; undefined: nothing yet. */
  async next(): Promise<{ bytes: Buffer; end: number; gap: boolean } | undefined> {
    for (;;) {
      const read = Buffer.concat([this.#begun, await this.#read()]);
      const length = wholeCharacters(read);
      const grown = read.length > this.#begun.length;
      this.#begun = read.subarray(length);
      if (length > 0) {
        const gap = this.#gap;
        this.#gap = false;
        return { bytes: read.subarray(0, length), end: this.#end(), gap };
      }
      if (!grown && !(await this.#turn())) return undefined;
    }
  }

  #end(): number {
    return this.#position - this.#begun.length;
  }

  async #read(): Promise<Buffer> {
    if (!this.#segment) return nothing;
    const { start, handle } = this.#segment;
    const into = Buffer.allocUnsafe(pieceBytesMax - this.#begun.length);
    const { bytesRead } = await handle.read(into, 0, into.length, this.#position - start);
    this.#position += bytesRead;
    return into.subarray(0, bytesRead);
  }

  /** Goes to the segment after this one, or to the first; false: there is none. */
  async #turn(): Promise<boolean> {
    const starts = segmentStarts(await namesIn(this.#folder));
    const here = this.#segment;
    const next = here
      ? starts.find((start) => start > here.start)
      : (starts.findLast((start) => start <= this.#position) ?? starts[0]);
    if (next === undefined) return false;
    if (this.#position < next) {
      // Written before the next one began, and after we had read.
      if (here && here.start + (await here.handle.stat()).size > this.#position) return true;
      this.#position = next;
      this.#begun = nothing;
      this.#gap = true;
    }
    const handle = await openOutput(this.#folder, next);
    // Dropped since the names were read: they say now where to go on.
    if (!handle) return true;
    await here?.handle.close();
    this.#segment = { start: next, handle };
    return true;
  }
}

/** How many bytes there are without the beginning of a UTF-8 sequence at the end. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return bytes.length;
    if (byte >= 0xc0) {
      const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return needed > back ? bytes.length - back : bytes.length;
    }
  }
  return bytes.length;
}
