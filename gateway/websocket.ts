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
