import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { limits } from '../limits.ts';
import { BodyMeter } from './body.ts';
import { ChunkedScanner, malformed, needsMore } from './chunked.ts';

const scan = (text: string): number =>
  new ChunkedScanner(limits).scan(Buffer.from(text, 'latin1'), 0);

describe('a chunked body', () => {
  test.each<[string, number]>([
    ['0\r\n\r\n', 5],
    ['000\r\n\r\n', 7],
    ['3\r\nabc\r\n0\r\n\r\n', 13],
    ['A\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1', 20],
    ['a\r\n\r\n0\r\n\r\n0\r\n\r\n0\r\n\r\n', 20],
    ['0\r\nX-Sum: 1\r\nX-Other:\r\n\r\nrest', 25],
    ['3\r\nab', needsMore],
    ['3\r\nabc\r\n0\r\n\r', needsMore],
    ['', needsMore],
  ])('%j ends at %i', (text, end) => {
    expect(scan(text)).toBe(end);
  });

  test.each([
    '3;ext=1\r\nabc\r\n',
    '3;\r\nabc\r\n',
    '0x3\r\nabc\r\n',
    ' 3\r\nabc\r\n',
    '3 \r\nabc\r\n',
    '3\t\r\nabc\r\n',
    '+3\r\nabc\r\n',
    '-1\r\n',
    'g\r\n',
    '\r\n',
    '\n',
    '3\nabc\n',
    '3\r\rabc',
    '3\rabc',
    '3\r\nabcd\r\n',
    '3\r\nabc\n0',
    '3\r\nabc0\r\n',
    '3\r\nabc\rx',
    '3_0\r\n',
    '3,3\r\n',
    '20000000000000\r\n',
    'ffffffffffffffff\r\n',
    '00000000000000003\r\nabc\r\n',
    '0\r\n\n',
    '0\r\nno colon\r\n\r\n',
    '0\r\n a: b\r\n\r\n',
    '0\r\nA : b\r\n\r\n',
    '0\r\nA: b\n\r\n\r\n',
    '0\r\nA: b\rc\r\n\r\n',
    '0\r\nA: \u0000\r\n\r\n',
    '0\r\nContent-Length: 3\r\n\r\n',
    '0\r\nTransfer-Encoding: chunked\r\n\r\n',
    '0\r\nHost: a\r\n\r\n',
    '0\r\nConnection: close\r\n\r\n',
    '0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n',
    '0\r\nX_Sum: 1\r\n\r\n',
    '0\r\nAuthorization: Basic x\r\n\r\n',
    '0\r\nA: \u0001\r\n\r\n',
    `0\r\nA: ${'b'.repeat(limits.trailerBytesMax)}\r\n\r\n`,
  ])('%.40j is malformed', (text) => {
    expect(scan(text)).toBe(malformed);
  });

  const chunk = fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.boolean(), fc.nat(3));
  const trailer = fc.constantFrom('', 'X-Sum: abc\r\n', 'A: 1\r\nB:\r\n');

  test('ends at the same byte however it is cut into segments, and what follows is not touched', () => {
    fc.assert(
      fc.property(
        fc.array(chunk),
        trailer,
        fc.array(fc.nat(600)),
        fc.uint8Array(),
        (chunks, fields, cuts, after) => {
          const pieces = chunks.map(([data, upper, zeros]) => {
            const size = '0'.repeat(zeros) + data.length.toString(16);
            return `${upper ? size.toUpperCase() : size}\r\n${Buffer.from(data).toString('latin1')}\r\n`;
          });
          const body = Buffer.from(`${pieces.join('')}0\r\n${fields}\r\n`, 'latin1');
          const bytes = Buffer.concat([body, after]);
          expect(endInSegments(bytes, cuts)).toBe(body.length);
        },
      ),
    );
  });
});

/** Where the body ends when it arrives in segments that are cut at these places. */
function endInSegments(bytes: Buffer, cuts: readonly number[]): number {
  const scanner = new ChunkedScanner(limits);
  const places = [...new Set(cuts.filter((cut) => cut < bytes.length))].toSorted((a, b) => a - b);
  let from = 0;
  for (const to of [...places, bytes.length]) {
    const end = scanner.scan(bytes.subarray(from, to), 0);
    if (end !== needsMore) return end < 0 ? end : from + end;
    from = to;
  }
  return needsMore;
}

describe('the meter of a body', () => {
  test('of a length ends after exactly so many bytes', () => {
    const meter = new BodyMeter(limits);
    meter.begin('length', 5);
    expect(meter.take(Buffer.from('abc'), 0)).toBe(needsMore);
    expect(meter.endOfConnection()).toBe(false);
    expect(meter.take(Buffer.from('xdeGET'), 1)).toBe(3);
    expect(meter.done).toBe(true);
  });

  test('of no body is done before the first byte', () => {
    const meter = new BodyMeter(limits);
    for (const framing of ['none', 'length'] as const) {
      meter.begin(framing, 0);
      expect(meter.done).toBe(true);
      expect(meter.take(Buffer.from('GET'), 0)).toBe(0);
    }
  });

  test('of a close-delimited body is done when the connection ends', () => {
    const meter = new BodyMeter(limits);
    meter.begin('close', 0);
    expect(meter.take(Buffer.from('0\r\n\r\n'), 0)).toBe(needsMore);
    expect(meter.done).toBe(false);
    expect(meter.endOfConnection()).toBe(true);
  });

  test('forgets a broken chunked body when the next message begins', () => {
    const meter = new BodyMeter(limits);
    meter.begin('chunked', 0);
    expect(meter.take(Buffer.from('5\r\nab'), 0)).toBe(needsMore);
    expect(meter.endOfConnection()).toBe(false);
    meter.begin('chunked', 0);
    expect(meter.take(Buffer.from('1\r\na\r\n0\r\n\r\n'), 0)).toBe(11);
    expect(meter.done).toBe(true);
    meter.begin('chunked', 0);
    expect(meter.take(Buffer.from('z'), 0)).toBe(malformed);
    expect(meter.done).toBe(false);
  });
});
