import type { Limits } from '../limits.ts';
import { roomToHold, toHold } from '../to-hold.ts';

const endOfHead = '\r\n\r\n';
const nothing = Buffer.alloc(0);

/** Gathers the bytes of a head until it is whole; what follows it stays. One per direction. */
export class HeadBuffer {
  /** Where the lines of the head that was last found end in its text. */
  headEnd = 0;
  readonly #limits: Limits;
  #bytes: Buffer = nothing;
  #from = 0;
  #to = 0;
  /** They are in memory that others use again. */
  #borrowed = false;
  /** The beginning of what is there, or nothing while nobody asked. */
  #text = '';

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get length(): number {
    return this.#to - this.#from;
  }

  /** The first `length` of these bytes, which stay the caller's: `keep` what is left of them. */
  push(bytes: Buffer, length = bytes.length): void {
    if (this.length === 0) {
      this.#set(bytes, length);
      this.#borrowed = true;
      return;
    }
    const joined = roomToHold(this.length + length);
    this.#bytes.copy(joined, 0, this.#from, this.#to);
    bytes.copy(joined, this.length, 0, length);
    this.#set(joined, joined.length);
  }

  /** From here on whoever gave the bytes may use their memory again. */
  keep(): void {
    if (!this.#borrowed || this.length === 0) return;
    const own = toHold(this.#there());
    this.#set(own, own.length);
  }

  /** All that is there, which is then gone. */
  rest(): Buffer {
    if (this.length === 0) return nothing;
    const bytes = toHold(this.#there());
    this.#set(nothing, 0);
    return bytes;
  }

  /** The same without a copy: good for as long as the bytes that were pushed. */
  take(): Buffer {
    const bytes = this.#there();
    this.#set(nothing, 0);
    return bytes;
  }

  /** The same as text, where the head that was last found brought all of it along. */
  restText(): string | undefined {
    if (this.#text.length !== this.length) return undefined;
    const text = this.#text;
    this.#set(nothing, 0);
    return text;
  }

  /** RFC 9112, 2.2: empty lines before a request are left over from a sloppy client's body. */
  skipEmptyLines(): void {
    let from = this.#from;
    while (from + 1 < this.#to && this.#bytes[from] === 0x0d && this.#bytes[from + 1] === 0x0a) {
      from += 2;
    }
    this.#skip(from - this.#from);
  }

  /**
   * A text that begins with the lines of the head, each with CRLF, up to `headEnd`; the head is then
   * gone. Undefined: it is not whole; null: it is too large.
   */
  head(): string | null | undefined {
    const { headBytesMax } = this.#limits;
    let end = this.#text.indexOf(endOfHead);
    if (end < 0) {
      const to = Math.min(this.#to, this.#from + headBytesMax + endOfHead.length);
      this.#text = this.#bytes.toString('latin1', this.#from, to);
      end = this.#text.indexOf(endOfHead);
    }
    const text = this.#text;
    if ((end < 0 ? this.length : end) > headBytesMax) return null;
    if (end < 0) return undefined;
    this.headEnd = end + 2;
    this.#skip(end + endOfHead.length);
    return text;
  }

  #there(): Buffer {
    return this.#bytes.subarray(this.#from, this.#to);
  }

  #set(bytes: Buffer, length: number): void {
    this.#bytes = bytes;
    this.#from = 0;
    this.#to = length;
    this.#borrowed = false;
    this.#text = '';
  }

  #skip(count: number): void {
    if (count === 0) return;
    this.#from += count;
    this.#text = this.#text.slice(count);
    // A view of what was received, empty or not, would keep all of it in memory.
    if (this.#from === this.#to) this.#set(nothing, 0);
  }
}
