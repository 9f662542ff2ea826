import { roomToHold } from '../to-hold.ts';

/** The chunked coding (RFC 9112, 7.1) of content that came without it. */

/** One chunk, or nothing for nothing: an empty chunk is the last. */
export function chunk(bytes: Buffer): Buffer {
  if (bytes.length === 0) return bytes;
  const size = `${bytes.length.toString(16)}\r\n`;
  const whole = roomToHold(size.length + bytes.length + 2);
  whole.write(size, 'latin1');
  bytes.copy(whole, size.length);
  whole.write('\r\n', size.length + bytes.length, 'latin1');
  return whole;
}

/** The end of a chunked body. `trailers`: field lines, each with CRLF. */
export const lastChunk = (trailers: string): string => `0\r\n${trailers}\r\n`;
