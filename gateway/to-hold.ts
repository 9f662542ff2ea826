/**
 * Memory for what a slow peer may be made to hold. Node gives buffers below 32 KB pieces of 64 KB that they
 * share, and each keeps all of it: what comes byte by byte would hold thousands of times as much.
 */

const pieceBytesMax = 4_096; // of larger ones a few fill a queue, and the shared memory is quicker to have

/** Room for so many bytes, with anything in it. */
export const roomToHold = (length: number): Buffer =>
  length > pieceBytesMax ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length);

/** A copy. */
export function toHold(bytes: Buffer): Buffer {
  const own = roomToHold(bytes.length);
  bytes.copy(own);
  return own;
}
