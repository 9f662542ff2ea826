import http2 from 'node:http2';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Edge } from '../edge.ts';
import { fields, flags, frame, preface, types, uint32 } from './http2-frames.ts';

/** A request that is cut must never look whole to the pod. */

let edge: Edge;
let received: string;
let gone: Promise<unknown>;

beforeEach(async () => {
  edge = await Edge.start();
  received = '';
  gone = new Promise((resolve) => {
    void edge.pod((socket) => {
      socket.on('data', (bytes: Buffer) => (received += bytes.toString('latin1')));
      socket.on('close', resolve);
      socket.on('end', () => socket.end());
    });
  });
});
afterEach(() => edge.close());

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = http2.constants;
const rst = (code: number): Buffer => frame(types.rstStream, { stream: 1 }, uint32(code));

test.each<[string, readonly string[], Buffer]>([
  ['reset', [], rst(NGHTTP2_CANCEL)],
  ['reset without an error', [], rst(NGHTTP2_NO_ERROR)],
  ['reset, of known length', ['content-length', '1000'], rst(NGHTTP2_CANCEL)],
  [
    'ended before its length',
    ['content-length', '1000'],
    frame(types.data, { flag: flags.endStream, stream: 1 }),
  ],
  [
    'longer than its length',
    ['content-length', '12'],
    frame(types.data, { stream: 1 }, Buffer.from('too much')),
  ],
])('an upload that is %s', async (_name, length, end) => {
  const socket = await edge.secure('a', { ALPNProtocols: ['h2'] });
  socket.resume();
  const [name, value] = length;
  const head = fields([
    [':method', 'POST'],
    [':scheme', 'https'],
    [':authority', 'a.pods.example.test'],
    [':path', '/'],
    ...(name && value ? ([[name, value]] as const) : []),
  ]);
  socket.write(
    Buffer.concat([
      preface,
      frame(types.settings, {}),
      frame(types.headers, { flag: flags.endHeaders, stream: 1 }, head),
      frame(types.data, { stream: 1 }, Buffer.from('half of it')),
    ]),
  );
  await vi.waitFor(() => expect(received).toContain('half of it'));
  socket.write(end);
  await gone;
  expect(received).toMatch(/half of it(\r\n)?$/);
});
