import type { FloodGuard } from './flood-guard.ts';
import type { Asked } from './header-blocks.ts';
import { ConnectionFault, errors, initialWindowBytes } from './protocol.ts';
import { Malformed } from './request.ts';
import type { StreamTerms } from './stream.ts';
import { Http2Stream } from './stream.ts';
import { StreamTable } from './stream-table.ts';

/** Who hears when the last stream is over. */
export interface StreamsOwner {
  streamsIdle(): void;
}

/** The streams of a connection from the first frame of each to its last. */
export class Http2Streams {
  /** The newest stream that is served; the client knows that it has to ask for others elsewhere. */
  lastServed = Infinity;
  readonly table: StreamTable;
  readonly #terms: StreamTerms;
  readonly #resets: FloodGuard;
  readonly #owner: StreamsOwner;
  /** To be used again. */
  readonly #spare: Http2Stream[] = [];
  /** What each may be sent at first. */
  #window = initialWindowBytes;

  constructor(terms: Omit<StreamTerms, 'closed'>, resets: FloodGuard, owner: StreamsOwner) {
    this.#resets = resets;
    this.#owner = owner;
    this.table = new StreamTable(terms.context.limits);
    this.#terms = { ...terms, closed: (stream, byClient) => this.#closed(stream, byClient) };
  }

  /** A head has come for a stream that was idle. */
  open(id: number, { head, bytes }: Asked, ended: boolean): void {
    if (id > this.lastServed) return;
    const { limits } = this.#terms.context;
    if (this.table.size >= limits.h2StreamsMax) this.#refuse(id, errors.refusedStream, ended);
    else if (head instanceof Malformed) this.#refuse(id, errors.protocol, ended);
    else {
      const stream = this.#spare.pop() ?? new Http2Stream(this.#terms);
      this.table.add(id, stream);
      stream.open(id, { ended, window: this.#window });
      stream.begin(head, bytes);
    }
  }

  /** Resets a stream for what is wrong with it, if anything is. */
  judge(stream: Http2Stream, code: number): void {
    if (code === errors.none) return;
    this.#resets.spend();
    stream.reset(code);
  }

  /** DATA or a head of a stream that is over (RFC 9113, 5.1): ours to expect, or a fault. */
  over(id: number): void {
    if (this.table.isForsaken(id) || id > this.lastServed) return;
    const code = this.table.wasOpen(id) ? errors.streamClosed : errors.protocol;
    throw new ConnectionFault(code, 'a frame of a stream that is not open');
  }

  /** The client resets one. */
  reset(id: number): void {
    this.#resets.spend();
    const stream = this.table.get(id);
    if (stream) stream.left();
    else this.table.settled(id);
  }

  /** What the client says each stream may be sent at first counts for those that are open too (6.9.2). */
  setWindow(bytes: number): void {
    const change = bytes - this.#window;
    this.#window = bytes;
    if (change === 0) return;
    for (const stream of this.table.values()) {
      if (stream.windowOpened(change)) continue;
      throw new ConnectionFault(errors.flowControl, 'the window of a stream overflows');
    }
  }

  /** The connection is over: so is everything on it. */
  abandon(): void {
    for (const stream of this.table.values()) stream.left();
  }

  #refuse(id: number, code: number, ended: boolean): void {
    this.#resets.spend();
    this.#terms.sendWindow.writer.reset(id, code);
    this.table.close(id, ended);
  }

  #closed(stream: Http2Stream, byClient: boolean): void {
    this.table.close(stream.id, byClient);
    const { h2StreamsKeptMax } = this.#terms.context.limits;
    if (stream.reusable && this.#spare.length < h2StreamsKeptMax) this.#spare.push(stream);
    if (this.table.size === 0) this.#owner.streamsIdle();
  }
}
