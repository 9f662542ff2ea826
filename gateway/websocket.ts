import { createHash } from 'node:crypto';
import type { Page } from './pages/pages.ts';

/** The few parts of the WebSocket protocol (RFC 6455) that the gateway itself speaks. */

/** Proof that the handshake was understood (4.2.2). */
export const acceptFor = (key: string): string =>
  createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

const reasonBytesMax = 123; // a control frame holds 125 bytes, two of them the code

/** A close frame of a server (5.5.1); a longer reason is cut between characters. */
export function closeFrame(code: number, reason: string): Buffer {
  const bytes = Buffer.from(reason, 'utf8');
  let length = Math.min(bytes.length, reasonBytesMax);
  while (length > 0 && length < bytes.length && isContinuation(bytes[length])) length -= 1;
  const head = Buffer.from([0x88, length + 2, code >> 8, code & 0xff]);
  return Buffer.concat([head, bytes.subarray(0, length)]);
}

const isContinuation = (byte: number | undefined): boolean => ((byte ?? 0) & 0xc0) === 0x80;

/** Codes of the IANA registry: 1008 policy, 1011 error, 1013 try again later, 1014 bad gateway. */
export function closeCodeOf({ status, retryAfter, code }: Page): number {
  if (status === 502 || status === 504) return 1014;
  if (status !== 503) return 1008;
  return retryAfter !== undefined || code === 'EDGE_POD_STOPPED' ? 1013 : 1011;
}

/** Follows the frames of one direction (5.2) without keeping a byte of them. */
export class FrameTracker {
  #headBytes = 0;
  #headLength = 2;
  #lengthEnd = 2;
  /** Of the frame under way; beyond 2^53 it is not exact, and never reached. */
  #payload = 0;
  #length = 0;
  #closing = false;
  #closed = false;

  /** Whether a frame of ours fits in here: no frame is under way, and none said it was the last. */
  get between(): boolean {
    return this.#headBytes === 0 && this.#payload === 0 && !this.#closed;
  }

  take(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      const skipped = Math.min(this.#payload, bytes.length - at);
      this.#payload -= skipped;
      at += skipped;
      while (this.#payload === 0 && at < bytes.length) this.#headByte(bytes[at++] ?? 0);
    }
  }

  #headByte(byte: number): void {
    this.#headBytes += 1;
    if (this.#headBytes === 1) this.#closing = (byte & 0x0f) === 0x8;
    else if (this.#headBytes === 2) this.#lengths(byte);
    else if (this.#headBytes <= this.#lengthEnd) this.#length = this.#length * 256 + byte;
    if (this.#headBytes < this.#headLength) return;
    this.#headBytes = 0;
    this.#headLength = 2;
    this.#payload = this.#length;
    this.#closed ||= this.#closing;
  }

  /** The byte behind the opcode: how the length is written, and whether a mask follows it. */
  #lengths(byte: number): void {
    const short = byte & 0x7f;
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
    this.#length = extended === 0 ? short : 0;
    this.#lengthEnd = 2 + extended;
    this.#headLength = this.#lengthEnd + (byte >= 0x80 ? 4 : 0);
  }
}
