import { once } from 'node:events';
import http2 from 'node:http2';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { limits } from '../../gateway/limits.ts';
import { Edge } from '../edge.ts';
import { request } from './http1/attack.ts';

/** An upload lives by what comes of it each minute, over HTTP/1.1 and HTTP/2, to pods of both kinds. */

let edge: Edge;
let received = 0;
let podLost = false;
const clients: http2.ClientHttp2Session[] = [];

beforeEach(async () => {
  edge = await Edge.start();
  received = 0;
  podLost = false;
  const count = (body: Duplex): void => {
    body.on('data', (bytes: Buffer) => (received += bytes.length));
    body.on('close', () => (podLost = true));
  };
  await edge.pod((socket) => {
    count(socket);
    socket.on('end', () => socket.end());
  });
  const h2c = http2.createServer().on('stream', count);
  await edge.serve(h2c, { pod: 'h2c', policy: { h2c: true } });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await edge.close();
});

interface Upload {
  readonly body: Duplex;
  /** How it was told that this is over. */
  readonly over: () => boolean;
}

async function http1(): Promise<Upload> {
  const body = await edge.secure();
  let over = false;
  body.on('end', () => (over = true)).on('close', () => (over = true));
  body.resume();
  body.write(request('POST / HTTP/1.1', ['Content-Length: 10000000000']));
  return { body, over: () => over };
}

const http2To =
  (pod: string, fields: http2.OutgoingHttpHeaders = {}) =>
  async (): Promise<Upload> => {
    const socket = await edge.secure(pod, { ALPNProtocols: ['h2'] });
    const client = http2.connect(`https://${pod}.pods.example.test`, {
      createConnection: () => socket,
    });
    clients.push(client);
    client.on('error', () => undefined);
    const body = client.request({ ':method': 'POST', ...fields });
    let over = false;
    body.on('error', () => undefined).on('close', () => (over = true));
    return { body, over: () => over };
  };

/** Sends so much every so often, for so many times or until it is over; returns how often it did. */
async function upload(
  { body, over }: Upload,
  { bytes, everyMs, times }: { bytes: number; everyMs: number; times: number },
): Promise<number> {
  await vi.waitFor(() => expect(body.writableNeedDrain).toBe(false));
  for (let sent = 0; sent < times; sent += 1) {
    const before = received;
    if (over()) return sent;
    body.write(Buffer.alloc(bytes));
    await vi.waitFor(() => expect(over() || received >= before + bytes).toBe(true), {
      timeout: 3_000,
      interval: 1,
    });
    await edge.clock.advance(everyMs);
  }
  return times;
}

describe.each([
  ['HTTP/1.1', http1],
  ['HTTP/2', http2To('a')],
  ['HTTP/2 to a pod that speaks it too', http2To('h2c')],
])('over %s', (_name, begin) => {
  test('10 KB/s live for hours', async () => {
    const body = await begin();
    expect(await upload(body, { bytes: 500_000, everyMs: 50_000, times: 200 })).toBe(200);
    expect(body.over()).toBe(false);
  });

  test('a byte every 20 seconds is cut, and the pod is told', async () => {
    const body = await begin();
    const times = await upload(body, { bytes: 1, everyMs: 20_000, times: 20 });
    expect(times * 20_000).toBeLessThan(limits.bodyIdleMs + 40_000);
    await vi.waitFor(() => expect(podLost).toBe(true));
  });
});

test('a stream of gRPC lives by its rare messages', async () => {
  const body = await http2To('h2c', { 'content-type': 'application/grpc' })();
  expect(await upload(body, { bytes: 8, everyMs: 50_000, times: 20 })).toBe(20);
});

test('events are no upload: they may be silent for long', async () => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n';
  await edge.pod((socket) => socket.on('data', () => socket.write(head)));
  const events = await edge.secure();
  let over = false;
  events.on('end', () => (over = true)).on('close', () => (over = true));
  events.write(request('GET / HTTP/1.1'));
  await once(events, 'data');
  await edge.clock.advance(limits.responseIdleMs / 2);
  expect(over).toBe(false);
});
