import type { Limits } from '../limits.ts';
import type { BodySink } from './chunked.ts';
import { ChunkedScanner, malformed, needsMore } from './chunked.ts';
import type { Framing } from './request-head.ts';

/** Knows where the body of a message ends while its bytes pass by. Reused from message to message. */
export class BodyMeter {
  readonly #limits: Limits;
  #framing: Framing = 'none';
  #left = 0;
  #chunks: ChunkedScanner | undefined;
  #sink: BodySink | undefined;
  done = true;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** With a `sink` it is told the content, without framing, as it passes by. */
  begin(framing: Framing, length: number, sink?: BodySink): void {
    this.#framing = framing;
    this.#sink = sink;
    this.#left = length;
    this.done = framing === 'none' || (framing === 'length' && length === 0);
    if (framing !== 'chunked') return;
    this.#chunks ??= new ChunkedScanner(this.#limits);
    this.#chunks.reset(sink);
  }

  /** The index behind the body's last byte, `needsMore` when all of it is body, or `malformed`. */
  take(bytes: Buffer, from: number): number {
    if (this.done) return from;
    if (this.#framing === 'chunked') return this.#takeChunks(bytes, from);
    const there = bytes.length - from;
    const taken = this.#framing === 'close' ? there : Math.min(this.#left, there);
    if (this.#sink && taken > 0) this.#sink.content(bytes.subarray(from, from + taken));
    if (this.#framing === 'close') return needsMore;
    this.#left -= taken;
    this.done = this.#left === 0;
    return this.done ? from + taken : needsMore;
  }

  /** Field lines behind the body that has ended, each with CRLF; kept only for a sink. */
  get trailers(): string {
    return this.#framing === 'chunked' ? (this.#chunks?.trailers ?? '') : '';
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
