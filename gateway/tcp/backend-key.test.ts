import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BackendKeyReader, onceKeyed } from './backend-key.ts';

function message(type: string, body: Buffer | string): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeUInt32BE(Buffer.byteLength(body) + 4, 1);
  return Buffer.concat([head, Buffer.from(body)]);
}

const authentication = message('R', Buffer.from('00000000', 'hex'));
const parameter = message('S', 'server_version\u000015.18\0');
const notice = message('N', 'SNOTICE\0Mhello\0\0');
const negotiation = message('v', Buffer.from('0003000000000000', 'hex'));
const ready = message('Z', 'I');
const pid = '00001234';
const short = Buffer.from(`${pid}deadbeef`, 'hex');
const long = Buffer.from(`${pid}${'5a'.repeat(32)}`, 'hex');
const longest = Buffer.from(`${pid}${'5a'.repeat(256)}`, 'hex');

/** What a reader says to a stream in pieces: its first answer that is not `more`. */
function read(pieces: readonly Buffer[]): ReturnType<BackendKeyReader['push']> {
  const reader = new BackendKeyReader();
  for (const piece of pieces) {
    const seen = reader.push(piece);
    if (seen !== 'more') return seen;
  }
  return 'more';
}

describe.each([
  ['of 4 bytes (3.0)', short],
  ['of 32 bytes (3.2)', long],
  ['of 256 bytes', longest],
])('a key %s', (_name, key) => {
  const stream = Buffer.concat([
    authentication,
    negotiation,
    parameter,
    notice,
    message('K', key),
    ready,
  ]);
  const expected = { key: key.toString('hex') };

  test('is found, cut anywhere and byte by byte', () => {
    for (let at = 0; at <= stream.length; at += 1) {
      expect(read([stream.subarray(0, at), stream.subarray(at)])).toEqual(expected);
    }
    expect(read(Array.from(stream, (byte) => Buffer.of(byte)))).toEqual(expected);
  });

  test('is not there before its last byte', () => {
    const end = stream.indexOf(key) + key.length;
    for (let at = 0; at < end; at += 1) expect(read([stream.subarray(0, at)])).toBe('more');
    expect(read([stream.subarray(0, end)])).toEqual(expected);
  });
});

test.each<[string, Buffer[]]>([
  ['a server that gives none', [authentication, parameter, ready]],
  ['an error', [message('E', 'SFATAL\0\0')]],
  ['rows', [authentication, message('D', 'x')]],
  ['a key that is too short', [message('K', Buffer.alloc(7))]],
  ['a key that is too long', [message('K', Buffer.alloc(261))]],
  ['a length below its own size', [Buffer.from('5200000003', 'hex')]],
  ['another protocol', [Buffer.from('HTTP/1.1 200 OK\r\n')]],
  ['a startup without an end', Array.from({ length: 70 }, () => message('N', 'x'.repeat(1_000)))],
])('%s ends it', (_name, pieces) => {
  expect(read(pieces)).toBe('none');
});

test('whatever comes, in whatever pieces: it never throws and says the same', () => {
  const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
  const messages = fc.array(
    fc.oneof(bytes, fc.constantFrom(authentication, parameter, notice, message('K', short), ready)),
  );
  fc.assert(
    fc.property(messages, fc.integer({ min: 1, max: 7 }), (parts, size) => {
      const stream = Buffer.concat(parts);
      const pieces = Array.from({ length: Math.ceil(stream.length / size) }, (_, at) =>
        stream.subarray(at * size, (at + 1) * size),
      );
      expect(read(pieces)).toEqual(read([stream]));
    }),
  );
});

test.each([
  ['the key is known', [message('K', short)], [short.toString('hex')]],
  ['there is none', [ready], []],
])('when %s, nobody looks on any more', (_name, messages, expected) => {
  let listener: ((bytes: Buffer) => void) | undefined;
  const found: string[] = [];
  onceKeyed({ overhear: (to) => (listener = to) }, (key) => found.push(key));
  listener?.(Buffer.concat([authentication, ...messages, message('K', long)]));
  expect(found).toEqual(expected);
  expect(listener).toBeUndefined();
});
