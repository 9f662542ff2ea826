import type { Limits } from '../limits.ts';

const endOfHead = '\r\n\r\n';

/** Gathers the bytes of a head until it is whole; what follows it stays. One per direction. */
export class HeadBuffer {
  readonly #limits: Limits;
  #bytes: Buffer = Buffer.alloc(0);

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
    this.#bytes = bytes.subarray(bytes.length);
    return bytes;
  }

  /** RFC 9112, 2.2: an empty line before a request is left over from a sloppy client's body. */
  skipEmptyLine(): void {
    if (this.#bytes[0] === 0x0d && this.#bytes[1] === 0x0a) this.#bytes = this.#bytes.subarray(2);
  }

  /** The head without its empty line, which is then gone. Undefined: not whole; null: too large. */
  head(): string | null | undefined {
    const end = this.#bytes.indexOf(endOfHead);
    if ((end < 0 ? this.#bytes.length : end) > this.#limits.headBytesMax) return null;
    if (end < 0) return undefined;
    const head = this.#bytes.toString('latin1', 0, end);
    this.#bytes = this.#bytes.subarray(end + endOfHead.length);
    return head;
  }
}
