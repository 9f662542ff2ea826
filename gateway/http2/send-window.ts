import type { FrameWriter } from './frame-writer.ts';
import {
  ConnectionFault,
  errors,
  framePayloadMax,
  initialWindowBytes,
  windowBytesMax,
} from './protocol.ts';

/** How much the client takes of all streams together, and who waits for more (RFC 9113, 5.2). */
export class SendWindow {
  readonly writer: FrameWriter;
  bytes = initialWindowBytes;
  /** With content that the connection holds up, not the stream's own window. */
  readonly #waiting = new Set<Outbound>();

  constructor(writer: FrameWriter) {
    this.writer = writer;
  }

  get open(): boolean {
    return this.bytes > 0 && !this.writer.blocked;
  }

  wait(outbound: Outbound): void {
    this.#waiting.add(outbound);
  }

  forget(outbound: Outbound): void {
    this.#waiting.delete(outbound);
  }

  opened(bytes: number): void {
    this.bytes += bytes;
    if (this.bytes > windowBytesMax) {
      throw new ConnectionFault(errors.flowControl, 'the window of the connection overflows');
    }
    this.pump();
  }

  /** One frame of each that waits, in turn, as long as the client takes them. */
  pump(): void {
    while (this.open && this.#waiting.size > 0) {
      for (const outbound of this.#waiting) {
        if (!this.open) return;
        // Whoever still has something lines up again, at the end.
        this.#waiting.delete(outbound);
        outbound.pump(1);
      }
    }
  }
}

/** Who hears how the content of a stream leaves. */
export interface OutboundOwner {
  /** All that was held up has left, and there may be more. */
  outboundDrained(): void;
  /** Some of what is held up has left, or nothing. */
  outboundMoved(bytes: number): void;
  /** The last of it has left. */
  outboundEnded(): void;
}

/** The content of one stream on its way to the client, held up where a window is closed. */
export class Outbound {
  stream = 0;
  /** The client may make it negative (RFC 9113, 6.9.2). */
  window = 0;
  readonly #connection: SendWindow;
  readonly #owner: OutboundOwner;
  readonly #queue: (Buffer | string)[] = [];
  #queued = 0;
  #ending = false;
  /** The block of the trailers, or nothing. */
  #trailers = '';
  ended = false;

  constructor(connection: SendWindow, owner: OutboundOwner) {
    this.#connection = connection;
    this.#owner = owner;
  }

  begin(stream: number, window: number): void {
    this.stream = stream;
    this.window = window;
    this.#ending = false;
    this.#trailers = '';
    this.ended = false;
  }

  get blocked(): boolean {
    return this.#queued > 0;
  }

  send(content: Buffer | string): void {
    if (content.length === 0 || this.ended) return;
    if (this.#queued === 0 && this.#fits(content.length)) {
      this.#account(content.length);
      this.#connection.writer.data(this.stream, content, false);
      return;
    }
    this.#push(content);
    this.#sendWaiting(Infinity);
    this.#lineUp();
  }

  /** The last of the content, which may be nothing, and the block of the trailers, or nothing. */
  end(last: Buffer | string, trailers: string): void {
    if (this.ended) return;
    if (this.#queued === 0 && trailers === '' && this.#fits(last.length)) {
      this.#account(last.length);
      this.#connection.writer.data(this.stream, last, true);
      this.#finish();
      return;
    }
    this.#ending = true;
    this.#trailers = trailers;
    if (last.length > 0) this.#push(last);
    if (this.#queued > 0) this.pump(Infinity);
    else this.#sendEnd();
  }

  /** A head that is all of the answer has left. */
  endedByHead(): void {
    if (!this.ended) this.#finish();
  }

  /** The client opens the stream's window; false when it overflows. */
  opened(bytes: number): boolean {
    this.window += bytes;
    if (this.window > windowBytesMax) return false;
    if (this.#queued > 0) this.pump(Infinity);
    return true;
  }

  /** Nobody wants the rest. */
  abandon(): void {
    this.#queue.length = 0;
    this.#queued = 0;
    this.ended = true;
    this.#connection.forget(this);
  }

  /** Sends so many frames of what is held up, if the windows let them pass. */
  pump(frames: number): void {
    const before = this.#queued;
    this.#sendWaiting(frames);
    this.#lineUp();
    if (this.ended) this.#owner.outboundEnded();
    else if (this.#queued === 0) this.#owner.outboundDrained();
    else this.#owner.outboundMoved(before - this.#queued);
  }

  #sendWaiting(frames: number): void {
    let left = frames;
    while (left > 0 && this.#queued > 0 && this.window > 0 && this.#connection.open) {
      this.#sendOne();
      left -= 1;
    }
  }

  #lineUp(): void {
    if (this.#queued > 0 && this.window > 0) this.#connection.wait(this);
    else this.#connection.forget(this);
  }

  #fits(bytes: number): boolean {
    return (
      bytes <= framePayloadMax &&
      bytes <= this.window &&
      bytes <= this.#connection.bytes &&
      (bytes === 0 || !this.#connection.writer.blocked)
    );
  }

  #account(bytes: number): void {
    this.window -= bytes;
    this.#connection.bytes -= bytes;
  }

  #push(content: Buffer | string): void {
    this.#queue.push(content);
    this.#queued += content.length;
  }

  #sendOne(): void {
    const first = this.#queue[0] ?? '';
    const most = Math.min(framePayloadMax, this.window, this.#connection.bytes);
    const whole = first.length <= most;
    const part = whole ? first : slice(first, 0, most);
    if (whole) this.#queue.shift();
    else this.#queue[0] = slice(first, most, first.length);
    this.#queued -= part.length;
    this.#account(part.length);
    const last = this.#ending && this.#queued === 0;
    this.#connection.writer.data(this.stream, part, last && this.#trailers === '');
    if (last) this.#endBehind();
  }

  #sendEnd(): void {
    if (this.#trailers === '') this.#connection.writer.data(this.stream, '', true);
    this.#endBehind();
    this.#owner.outboundEnded();
  }

  #endBehind(): void {
    if (this.#trailers !== '') this.#connection.writer.headers(this.stream, this.#trailers, true);
    this.ended = true;
  }

  #finish(): void {
    this.ended = true;
    this.#owner.outboundEnded();
  }
}

const slice = (content: Buffer | string, from: number, to: number): Buffer | string =>
  typeof content === 'string' ? content.slice(from, to) : content.subarray(from, to);
