import type { Limits } from '../limits.ts';
import { ChunkedScanner, malformed, needsMore } from './chunked.ts';
import type { Framing } from './request-head.ts';

/** Knows where the body of a message ends while its bytes pass by. Reused from message to message. */
export class BodyMeter {
  readonly #limits: Limits;
  #framing: Framing = 'none';
  #left = 0;
  #chunks: ChunkedScanner | undefined;
  done = true;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  begin(framing: Framing, length: number): void {
    this.#framing = framing;
    this.#left = length;
    this.done = framing === 'none' || (framing === 'length' && length === 0);
    if (framing !== 'chunked') return;
    if (this.#chunks) this.#chunks.reset();
    else this.#chunks = new ChunkedScanner(this.#limits);
  }

  /** The index behind the body's last byte, `needsMore` when all of it is body, or `malformed`. */
  take(bytes: Buffer, from: number): number {
    if (this.done) return from;
    if (this.#framing === 'close') return needsMore;
    if (this.#framing === 'chunked') return this.#takeChunks(bytes, from);
    const taken = Math.min(this.#left, bytes.length - from);
    this.#left -= taken;
    this.done = this.#left === 0;
    return this.done ? from + taken : needsMore;
  }

  /** The connection ended: fine for a close-delimited body, a cut for every other. */
  endOfConnection(): boolean {
    if (this.#framing === 'close') this.done = true;
    return this.done;
  }

  #takeChunks(bytes: Buffer, from: number): number {
    const end = this.#chunks?.scan(bytes, from) ?? malformed;
    this.done = end >= 0;
    return end === malformed ? malformed : end < 0 ? needsMore : end;
  }
}
