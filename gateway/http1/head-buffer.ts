import type { Limits } from '../limits.ts';

const endOfHead = '\r\n\r\n';
// A view of what was received, empty or not, would keep all of it in memory.
const nothing = Buffer.alloc(0);

/** Gathers the bytes of a head until it is whole; what follows it stays. One per direction. */
export class HeadBuffer {
  readonly #limits: Limits;
  #bytes: Buffer = nothing;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get length(): number {
    return this.#bytes.length;
  }

  push(bytes: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
  }

  /** All that is there, which is then gone. */
  rest(): Buffer {
    const bytes = this.#bytes;
    this.#bytes = nothing;
    return bytes;
  }

  /** RFC 9112, 2.2: empty lines before a request are left over from a sloppy client's body. */
  skipEmptyLines(): void {
    let from = 0;
    while (this.#bytes[from] === 0x0d && this.#bytes[from + 1] === 0x0a) from += 2;
    if (from > 0) this.#skip(from);
  }

  /** The lines of the head, each with CRLF, without the empty one; they are then gone. Undefined: not whole; null: too large. */
  head(): string | null | undefined {
    const end = this.#bytes.indexOf(endOfHead);
    if ((end < 0 ? this.#bytes.length : end) > this.#limits.headBytesMax) return null;
    if (end < 0) return undefined;
    const head = this.#bytes.toString('latin1', 0, end + 2);
    this.#skip(end + endOfHead.length);
    return head;
  }

  #skip(to: number): void {
    this.#bytes = to === this.#bytes.length ? nothing : this.#bytes.subarray(to);
  }
}
