import { toHold } from '../to-hold.ts';

const receivedBytesMax = 131_072; // of one read: an answer of 100 KiB is read and written once
const headRoomBytes = 16_384;

// What is read is used up before anything else is read: no connection needs memory of its own for it.
const memory = Buffer.allocUnsafeSlow(headRoomBytes + receivedBytesMax);
export const received = memory.subarray(headRoomBytes);

/** The same bytes to keep: a copy of what lies in the memory that all connections to pods read into. */
export const kept = (bytes: Buffer): Buffer =>
  bytes.buffer === memory.buffer ? toHold(bytes) : bytes;

/**
 * A head and the first of its body in one piece, without a copy of the body where that lies in the
 * memory that was read into: all in front of it was read already. Undefined: it does not, or has not
 * the room.
 */
export function withHead(head: string, body: Buffer): Buffer | undefined {
  const from = body.byteOffset - head.length;
  if (body.buffer !== memory.buffer || from < 0) return undefined;
  memory.write(head, from, 'latin1');
  return memory.subarray(from, body.byteOffset + body.length);
}
