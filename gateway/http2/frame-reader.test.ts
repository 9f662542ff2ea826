import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { flags, frame, preface, types } from '../../test/attacks/http2-frames.ts';
import type { FrameHead } from './frame-reader.ts';
import { FrameReader } from './frame-reader.ts';
import { ConnectionFault, errors } from './protocol.ts';

const shown = ({ type, flags: set, stream, length }: FrameHead): string =>
  [type, set, stream, length].join(' ');

/** What a reader says of bytes that come in these pieces; content in one piece for each frame. */
function heard(pieces: readonly Buffer[]): { readonly told: string[]; readonly code: number } {
  const told: string[] = [];
  let content = '';
  const reader = new FrameReader({
    frame: (head, bytes, from) => {
      told.push(`${shown(head)} ${bytes.toString('hex', from, from + head.length)}`);
    },
    dataBegins: (head) => {
      content = '';
      told.push(`begins ${shown(head)}`);
    },
    data: (_head, bytes) => {
      expect(bytes.length).toBeGreaterThan(0);
      content += bytes.toString('hex');
    },
    dataEnds: (head) => void told.push(`ends ${shown(head)} ${content}`),
  });
  try {
    for (const piece of pieces) reader.push(piece);
  } catch (error) {
    if (!(error instanceof ConnectionFault)) throw error;
    return { told, code: error.code };
  }
  return { told, code: errors.none };
}

/** The same bytes cut at these places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b);
  const pieces: Buffer[] = [];
  let from = 0;
  for (const place of [...sorted, bytes.length]) {
    pieces.push(Buffer.from(bytes.subarray(from, place)));
    from = place;
  }
  return pieces;
}

const anyFrame = fc
  .record({
    type: fc.oneof(fc.integer({ min: 0, max: 10 }), fc.constant(types.data)),
    flag: fc.integer({ min: 0, max: 255 }),
    stream: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    payload: fc.uint8Array({ maxLength: 300 }),
  })
  .map(({ type, flag, stream, payload }) => frame(type, { flag, stream }, Buffer.from(payload)));

describe('frames', () => {
  test('say the same wherever their bytes are cut', () => {
    const places = fc.array(fc.nat(), { maxLength: 20 });
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 8 }), places, (frames, where) => {
        const bytes = Buffer.concat([preface, ...frames]);
        expect(heard(cut(bytes, where))).toEqual(heard([bytes]));
      }),
      { numRuns: 2_000 },
    );
  });

  test('say the same byte for byte', () => {
    const padded = Buffer.concat([Buffer.from([3]), Buffer.from('content'), Buffer.alloc(3)]);
    const bytes = Buffer.concat([
      preface,
      frame(types.settings, {}),
      frame(types.data, { flag: flags.padded | flags.endStream, stream: 1 }, padded),
      frame(types.data, { stream: 3 }),
      frame(types.ping, {}, Buffer.alloc(8)),
    ]);
    const single = heard([...bytes].map((byte) => Buffer.from([byte])));
    expect(single).toEqual(heard([bytes]));
    expect(single.told).toContain(`ends 0 9 1 11 ${Buffer.from('content').toString('hex')}`);
  });

  test('any bytes are frames or a fault', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        const pieces = cut(Buffer.concat([preface, Buffer.from(bytes)]), [30, 60, 300]);
        expect([errors.none, errors.protocol, errors.frameSize]).toContain(heard(pieces).code);
      }),
      { numRuns: 2_000 },
    );
  });

  test.each<[string, Buffer, number]>([
    ['another preface', Buffer.from('GET / HTTP/1.1\r\n\r\n'), errors.protocol],
    [
      'more than 16 KiB',
      Buffer.concat([preface, Buffer.from('00400100', 'hex'), Buffer.alloc(5)]),
      errors.frameSize,
    ],
    [
      'padding beyond the payload',
      Buffer.concat([
        preface,
        frame(types.data, { flag: flags.padded, stream: 1 }, Buffer.from([1])),
      ]),
      errors.protocol,
    ],
    [
      'padding of no length',
      Buffer.concat([preface, frame(types.data, { flag: flags.padded, stream: 1 })]),
      errors.frameSize,
    ],
  ])('%s is a fault', (_name, bytes, code) => {
    expect(heard([bytes]).code).toBe(code);
  });
});
