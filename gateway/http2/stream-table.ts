import type { Http2Stream } from './stream.ts';

const closedRemembered = 128; // a power of two

/** The streams of a connection and what became of those that are over (RFC 9113, 5.1). */
export class StreamTable {
  /** The newest that the client has opened. */
  last = 0;
  readonly #active = new Map<number, Http2Stream>();
  /** The last that were closed by the client as well, in a ring. */
  readonly #closed = new Uint32Array(closedRemembered);
  #closedCount = 0;
  /** Closed by us alone: what the client had sent before it knew is not held against it. */
  readonly #forsaken = new Set<number>();
  readonly #forsakenMax: number;

  constructor(limits: { readonly h2ForsakenMax: number }) {
    this.#forsakenMax = limits.h2ForsakenMax;
  }

  get size(): number {
    return this.#active.size;
  }

  get(stream: number): Http2Stream | undefined {
    return this.#active.get(stream);
  }

  values(): Iterable<Http2Stream> {
    return this.#active.values();
  }

  add(id: number, stream: Http2Stream): void {
    this.#active.set(id, stream);
  }

  /** It is over. `byClient`: nothing more of it can be on its way. */
  close(stream: number, byClient: boolean): void {
    this.#active.delete(stream);
    if (byClient) {
      this.#closed[this.#closedCount & (closedRemembered - 1)] = stream;
      this.#closedCount += 1;
      return;
    }
    this.#forsaken.add(stream);
    if (this.#forsaken.size <= this.#forsakenMax) return;
    for (const oldest of this.#forsaken) {
      this.#forsaken.delete(oldest);
      return;
    }
  }

  /** The client has not opened it: only it can, and only with odd numbers that rise. */
  isIdle(stream: number): boolean {
    return stream > this.last || (stream & 1) === 0;
  }

  isForsaken(stream: number): boolean {
    return this.#forsaken.has(stream);
  }

  /** The client's own end of a forsaken stream has come. */
  settled(stream: number): void {
    if (this.#forsaken.delete(stream)) this.close(stream, true);
  }

  /** It was open once, as far as we remember. */
  wasOpen(stream: number): boolean {
    return this.#closed.includes(stream);
  }
}
