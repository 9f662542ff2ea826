import { Readable } from 'node:stream';

const blockBytes = 64 * 1024;
// A prime, so that the pattern never lines up with blocks: a lost or doubled block changes the bytes.
const period = 251;

/** The same `length` bytes every time: byte number i is i modulo 251. */
export function patternBytes(length: number): Readable {
  let at = 0;
  return new Readable({
    highWaterMark: blockBytes,
    read() {
      if (at >= length) {
        this.push(null);
        return;
      }
      const size = Math.min(blockBytes, length - at);
      const start = at % period;
      at += size;
      this.push(patternBlock.subarray(start, start + size));
    },
  });
}

const patternBlock = Buffer.from(
  Uint8Array.from({ length: blockBytes + period }, (_, index) => index % period),
);
