import type net from 'node:net';
import tls from 'node:tls';

/**
 * A client's TLS connection whose bytes can go straight to a reader. The queue and the events of a
 * stream cost a small request as much as reading its head, and serve nothing where every byte is
 * used as soon as it is there.
 */
export class ClientSocket extends tls.TLSSocket {
  #reader: ((bytes: Buffer) => void) | undefined;
  #held = false;

  /** What is read goes to `reader`, also the little that comes after a `pause`; the end is an event still. */
  readTo(reader: (bytes: Buffer) => void): void {
    this.#reader = reader;
  }

  /** It is a stream like others again. */
  readAsStream(): void {
    this.#reader = undefined;
    if (this.#held) this.#go();
  }

  /** Called by Node with what was read; returns whether it is to go on reading. */
  override push(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    if (!this.#reader || chunk === null) return super.push(chunk, encoding);
    this.#reader(chunk);
    return !this.#held;
  }

  override pause(): this {
    if (!this.#reader) return super.pause();
    this.#held = true;
    return this;
  }

  override resume(): this {
    if (!this.#reader) return super.resume();
    if (this.#held) this.#go();
    return this;
  }

  #go(): void {
    this.#held = false;
    // oxlint-disable-next-line no-underscore-dangle -- so Node calls what makes a stream read on
    this._read(0);
  }
}

/** Reads from any client, the fast way where there is one. */
export function readFrom(socket: net.Socket, reader: (bytes: Buffer) => void): void {
  if (socket instanceof ClientSocket) socket.readTo(reader);
  else socket.on('data', reader);
}

/** Undoes `readFrom`: the next reader listens for events, which nobody else does any more. */
export function readNoMore(socket: net.Socket): void {
  for (const event of ['data', 'drain', 'end']) socket.removeAllListeners(event);
  if (socket instanceof ClientSocket) socket.readAsStream();
}
