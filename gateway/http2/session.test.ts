import { PassThrough } from 'node:stream';
import type net from 'node:net';
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import {
  fields,
  flags,
  frame,
  framesOf,
  preface,
  types,
  uint32,
} from '../../test/attacks/http2-frames.ts';
import { examplePeer, exampleRoute, httpContext } from '../../test/gateway-examples.ts';
import { Deadlines } from '../deadlines.ts';
import { FrameReader } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { ConnectionFault } from './protocol.ts';
import { Http2Session } from './session.ts';

/** Frames that no client library sends, in any order: every outcome is one that the protocol knows. */

let deadlines: Deadlines;
beforeEach(() => {
  deadlines = new Deadlines(new ManualClock());
});
afterEach(() => deadlines.stop());

/** A session without a network, whose requests get pages. */
function makeSession() {
  const socket = new PassThrough();
  const route = exampleRoute({ state: 'stopped', upstream: null });
  const context = httpContext(deadlines, (host) => (host === 'a.test' ? route : undefined));
  const writer = new FrameWriter(socket as unknown as net.Socket);
  const owner = { streamsIdle: () => undefined };
  const session = new Http2Session(
    { context, peer: examplePeer(), lend: (bytes) => bytes },
    writer,
    owner,
  );
  session.begin();
  const reader = new FrameReader(session);
  reader.push(Buffer.concat([preface, frame(types.settings, {})]));
  const sent = () => {
    writer.flush();
    const bytes: unknown = socket.read();
    return framesOf(Buffer.isBuffer(bytes) ? bytes : Buffer.alloc(0)).frames;
  };
  return { session, reader, sent };
}

const pseudo = [
  [':method', 'POST'],
  [':scheme', 'https'],
  [':authority', 'a.test'],
  [':path', '/'],
] as const;

const stream = fc.integer({ min: 0, max: 9 });
const flag = fc.constantFrom(0, 1, 4, 5, 8, 9, 0x20, 0x25, 0x2d);
const bytes = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const step = fc.oneof(
  fc
    .tuple(stream, flag)
    .map(([id, set]) => frame(types.headers, { flag: set, stream: id }, fields(pseudo))),
  fc
    .tuple(stream, flag, bytes(40))
    .map(([id, set, rest]) => frame(types.headers, { flag: set, stream: id }, rest)),
  fc
    .tuple(stream, flag, bytes(40))
    .map(([id, set, rest]) => frame(types.data, { flag: set, stream: id }, rest)),
  fc
    .tuple(stream, fc.nat(2 ** 31))
    .map(([id, by]) => frame(types.windowUpdate, { stream: id }, uint32(by))),
  fc
    .tuple(stream, fc.nat(15))
    .map(([id, code]) => frame(types.rstStream, { stream: id }, uint32(code))),
  fc.tuple(fc.nat(9), fc.nat(2 ** 31)).map(([id, value]) => {
    return frame(types.settings, {}, Buffer.concat([Buffer.from([0, id]), uint32(value)]));
  }),
  fc
    .tuple(fc.nat(11), flag, stream, bytes(20))
    .map(([type, set, id, rest]) => frame(type, { flag: set, stream: id }, rest)),
);

test('any frames in any order are served or are a fault of the connection', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (frames) => {
      const { session, reader, sent } = makeSession();
      try {
        for (const one of frames) reader.push(one);
      } catch (error) {
        expect(error).toBeInstanceOf(ConnectionFault);
      }
      session.streams.abandon();
      expect(session.streams.table.size).toBe(0);
      for (const { type, payload } of sent()) {
        expect(type).toBeLessThanOrEqual(types.continuation);
        expect(payload.length).toBeLessThanOrEqual(16_384);
      }
    }),
    { numRuns: 3_000 },
  );
});

const opened = (id: number, pairs: readonly (readonly [string, string])[] = pseudo) =>
  frame(types.headers, { flag: flags.endHeaders | flags.endStream, stream: id }, fields(pairs));

test('a length and no content is no request', () => {
  const { reader, sent } = makeSession();
  reader.push(opened(1, [...pseudo, ['content-length', '5']]));
  const resets = sent().filter(({ type }) => type === types.rstStream);
  expect(resets.map(({ payload }) => payload.readUInt32BE())).toEqual([1]);
});

const text = (value: string) =>
  Buffer.concat([Buffer.from([value.length]), Buffer.from(value, 'latin1')]);
const asked = (id: number, ...parts: Buffer[]) =>
  frame(
    types.headers,
    { flag: flags.endHeaders | flags.endStream, stream: id },
    Buffer.concat(parts),
  );

test('the same block means another request when the table has changed', () => {
  const { reader, sent } = makeSession();
  // `:authority`, kept in the table, whose newest entry it is then.
  const keeping = Buffer.from('82878441', 'hex');
  const again = Buffer.from('828784be', 'hex');
  reader.push(asked(1, keeping, text('a.test')));
  reader.push(asked(3, again));
  reader.push(asked(5, again));
  reader.push(asked(7, keeping, text('b.test')));
  reader.push(asked(9, again));
  // A stopped pod, and a host that is none of ours.
  const statuses = sent()
    .filter(({ type }) => type === types.headers)
    .map(({ payload }) => /503|421/.exec(payload.toString('latin1'))?.[0]);
  expect(statuses).toEqual(['503', '503', '503', '421', '421']);
});

test('a size update of the table in a block that came before still counts', () => {
  const { reader, sent } = makeSession();
  const plain = [Buffer.from('82878401', 'hex'), text('a.test')];
  const shrinking = Buffer.from('20', 'hex');
  const growing = Buffer.from('3fe11f', 'hex');
  reader.push(asked(1, shrinking, ...plain));
  reader.push(asked(3, growing, ...plain));
  reader.push(asked(5, shrinking, ...plain));
  // Now the table holds nothing: what is put in falls out, and an index of it means nothing.
  const putIn = Buffer.from('400161016282878401', 'hex');
  const last = asked(7, putIn, text('a.test'), Buffer.from('be', 'hex'));
  expect(() => reader.push(last)).toThrow(ConnectionFault);
  expect(sent().filter(({ type }) => type === types.headers)).toHaveLength(3);
});

test('an answer begins with the word that no table is used, once', () => {
  const { reader, sent } = makeSession();
  reader.push(Buffer.concat([opened(1), opened(3)]));
  const blocks = sent()
    .filter(({ type }) => type === types.headers)
    .map(({ payload }) => payload[0]);
  expect(blocks[0]).toBe(0x20);
  expect(blocks[1]).not.toBe(0x20);
});
