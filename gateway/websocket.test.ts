import { describe, expect, test } from 'vitest';
import { acceptFor, closeCodeOf, closeFrame, FrameTracker } from './websocket.ts';

test('the accept value is that of RFC 6455, 1.3', () => {
  expect(acceptFor('dGhlIHNhbXBsZSBub25jZQ==')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
});

test('a close frame holds its code and as much of the reason as fits, in whole characters', () => {
  expect(closeFrame(1013, 'later').toString('hex')).toBe('880703f56c61746572');
  const long = closeFrame(1008, '€'.repeat(100));
  expect(long[1]).toBe(long.length - 2);
  expect(long.length - 4).toBeLessThanOrEqual(123);
  expect(long.subarray(4).toString('utf8')).toBe('€'.repeat(41));
});

test.each([
  [503, 1, 'EDGE_POD_STARTING', 1013],
  [503, undefined, 'EDGE_POD_STOPPED', 1013],
  [503, undefined, 'EDGE_POD_FAILED', 1011],
  [502, undefined, 'EDGE_UPSTREAM_FAILED', 1014],
  [504, undefined, 'EDGE_UPSTREAM_TIMEOUT', 1014],
  [403, undefined, 'EDGE_NOT_ALLOWED', 1008],
  [404, undefined, 'EDGE_NO_ROUTE', 1008],
])('%i (retry after %s) %s is %i', (status, retryAfter, code, closeCode) => {
  const page = { status, code, title: '', message: '', ...(retryAfter ? { retryAfter } : {}) };
  expect(closeCodeOf(page)).toBe(closeCode);
});

/** A frame with its head as 5.2 has it; `masked`: as a client sends it. */
function frame(opcode: number, length: number, masked = false): Buffer {
  const mask = masked ? 0x80 : 0;
  const payload = Buffer.alloc(length, 0x88);
  const key = Buffer.alloc(masked ? 4 : 0, 0x88);
  if (length < 126) return Buffer.concat([Buffer.from([opcode, mask | length]), key, payload]);
  const wide = length >= 65_536;
  const head = Buffer.alloc(wide ? 10 : 4);
  head[0] = opcode;
  head[1] = mask | (wide ? 127 : 126);
  head.writeUIntBE(length, wide ? 4 : 2, wide ? 6 : 2);
  return Buffer.concat([head, key, payload]);
}

/** The positions in these bytes, read one by one, at which a frame of ours would fit. */
function gaps(bytes: Buffer): number[] {
  const tracker = new FrameTracker();
  const found = tracker.between ? [0] : [];
  for (let at = 1; at <= bytes.length; at += 1) {
    tracker.take(bytes.subarray(at - 1, at));
    if (tracker.between) found.push(at);
  }
  return found;
}

describe('frames', () => {
  const lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000];

  test.each(
    lengths.flatMap(
      (length) =>
        [
          [length, false],
          [length, true],
        ] as const,
    ),
  )('one of %i bytes (masked: %s) ends where it ends, not before', (length, masked) => {
    const bytes = frame(0x82, length, masked);
    expect(gaps(bytes)).toEqual([0, bytes.length]);
  });

  test('many are told apart wherever they are split', () => {
    const frames = [0, 5, 126, 0, 65_536, 3].map((length) => frame(0x01, length));
    const bytes = Buffer.concat(frames);
    const ends = [0];
    for (const { length } of frames) ends.push((ends.at(-1) ?? 0) + length);
    expect(gaps(bytes)).toEqual([...new Set(ends)]);
    for (let at = 0; at <= bytes.length; at += 1) {
      const tracker = new FrameTracker();
      tracker.take(bytes.subarray(0, at));
      if (tracker.between !== ends.includes(at)) expect.unreachable(`split at ${at}`);
      tracker.take(bytes.subarray(at));
      if (!tracker.between) expect.unreachable(`split at ${at}, to the end`);
    }
  });

  test('behind a close frame nothing may follow; a payload that looks like one is none', () => {
    const tracker = new FrameTracker();
    tracker.take(frame(0x81, 40));
    expect(tracker.between).toBe(true);
    tracker.take(closeFrame(1000, 'bye'));
    expect(tracker.between).toBe(false);
    tracker.take(frame(0x81, 1));
    expect(tracker.between).toBe(false);
  });

  test('a length beyond every counter is not taken for an end', () => {
    const tracker = new FrameTracker();
    tracker.take(Buffer.from('827fffffffffffffffff', 'hex'));
    tracker.take(Buffer.alloc(65_536));
    expect(tracker.between).toBe(false);
  });
});
