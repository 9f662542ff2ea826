import type net from 'node:net';
import { errors, flags, framePayloadMax, frames, windowBytesMax } from './protocol.ts';

const joinedBytesMax = 4_096; // content so short is copied to leave with the frames around it

/**
 * Gathers the frames of one turn of the event loop and writes them to the client at once: answers of
 * many streams cost one TLS record and one call of the kernel. Frames are text, a character for a
 * byte, which a socket writes without a copy in between.
 */
export class FrameWriter {
  /** Frames of DATA so far. */
  dataFrames = 0;
  readonly #socket: net.Socket;
  #text = '';
  #scheduled = false;
  #ended = false;
  #corked = false;
  readonly #flush = (): void => this.flush();

  constructor(socket: net.Socket) {
    this.#socket = socket;
  }

  /** The client takes no more for now; its socket tells by 'drain' when it does again. */
  get blocked(): boolean {
    const { writableNeedDrain, writableHighWaterMark } = this.#socket;
    return writableNeedDrain || this.#text.length >= writableHighWaterMark;
  }

  /** How much waits for the client. */
  get waiting(): number {
    return this.#text.length + this.#socket.writableLength;
  }

  /** A head or trailers; what fits into no frame goes on in others (RFC 9113, 6.10). */
  headers(stream: number, block: string, endStream: boolean): void {
    const end = endStream ? flags.endStream : 0;
    if (block.length <= framePayloadMax) {
      const head = frameHead(block.length, frames.headers, end | flags.endHeaders, stream);
      this.#add(head + block);
      return;
    }
    for (let at = 0; at < block.length; at += framePayloadMax) {
      const part = block.slice(at, at + framePayloadMax);
      const last = at + framePayloadMax >= block.length ? flags.endHeaders : 0;
      const type = at === 0 ? frames.headers : frames.continuation;
      this.#add(frameHead(part.length, type, (at === 0 ? end : 0) | last, stream) + part);
    }
  }

  /** Content that fits into one frame, as bytes or as text, a character for a byte. */
  data(stream: number, content: Buffer | string, endStream: boolean): void {
    const { length } = content;
    this.dataFrames += 1;
    const head = frameHead(length, frames.data, endStream ? flags.endStream : 0, stream);
    if (typeof content === 'string') this.#add(head + content);
    else if (length <= joinedBytesMax) this.#add(head + content.toString('latin1'));
    else {
      this.#add(head);
      this.#writeBytes(content);
    }
  }

  reset(stream: number, code: number): void {
    this.#add(frameHead(4, frames.rstStream, 0, stream) + uint32(code));
  }

  windowUpdate(stream: number, bytes: number): void {
    this.#add(frameHead(4, frames.windowUpdate, 0, stream) + uint32(bytes));
  }

  settings(values: readonly (readonly [id: number, value: number])[]): void {
    let payload = '';
    for (const [id, value] of values) payload += String.fromCharCode(id >> 8, id) + uint32(value);
    this.#add(frameHead(payload.length, frames.settings, 0, 0) + payload);
  }

  settingsAck(): void {
    this.#add(frameHead(0, frames.settings, flags.ack, 0));
  }

  /** `payload`: the eight bytes of the question. */
  pong(payload: string): void {
    this.#add(frameHead(payload.length, frames.ping, flags.ack, 0) + payload);
  }

  /** `last`: the last stream that is or may be served; by default any may be (6.8). */
  goaway(code: number = errors.none, last: number = windowBytesMax, reason = ''): void {
    const length = 8 + reason.length;
    this.#add(frameHead(length, frames.goaway, 0, 0) + uint32(last) + uint32(code) + reason);
  }

  /** Writes what there is without waiting for the end of the turn. */
  flush(): void {
    this.#scheduled = false;
    if (this.#socket.destroyed) {
      this.#text = '';
      return;
    }
    if (this.#text !== '') this.#socket.write(this.#take(), 'latin1');
    if (!this.#corked) return;
    this.#corked = false;
    this.#socket.uncork();
  }

  /** The last has been said. */
  end(): void {
    if (this.#ended) return;
    this.flush();
    this.#ended = true;
    this.#socket.end();
  }

  #add(text: string): void {
    if (this.#ended) return;
    this.#text += text;
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Runs when all that has come at the same time was read.
    setImmediate(this.#flush);
  }

  /** Behind the text so far; they are not copied. */
  #writeBytes(bytes: Buffer): void {
    if (this.#ended) return;
    if (!this.#corked) this.#socket.cork();
    this.#corked = true;
    this.#socket.write(this.#take(), 'latin1');
    this.#socket.write(bytes);
  }

  #take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }
}

const frameHead = (length: number, type: number, flag: number, stream: number): string =>
  String.fromCharCode(
    length >> 16,
    (length >> 8) & 0xff,
    length & 0xff,
    type,
    flag,
    stream >>> 24,
    (stream >> 16) & 0xff,
    (stream >> 8) & 0xff,
    stream & 0xff,
  );

const uint32 = (value: number): string =>
  String.fromCharCode(value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff);
