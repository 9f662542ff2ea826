import http from 'node:http';
import http2 from 'node:http2';
import v8 from 'node:v8';
import vm from 'node:vm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Edge } from '../edge.ts';

/** What HTTP/2 takes while it is used, it gives back. */

let edge: Edge;
beforeEach(async () => {
  edge = await Edge.start();
  const pod = http.createServer((request, response) => {
    if (request.url === '/hang') return;
    if (request.url === '/large') response.end(Buffer.alloc(300_000));
    else request.pipe(response);
  });
  pod.keepAliveTimeout = 60_000;
  await edge.serve(pod);
});
afterEach(() => edge.close());

v8.setFlagsFromString('--expose-gc');
const collect: () => void = vm.runInNewContext('gc');

async function settledHeap(): Promise<number> {
  for (let times = 0; times < 5; times += 1) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function connect(): Promise<http2.ClientHttp2Session> {
  const socket = await edge.secure('a', { ALPNProtocols: ['h2'] });
  const client = http2.connect('https://a.pods.example.test', { createConnection: () => socket });
  client.on('error', () => undefined);
  return client;
}

/** One request of any kind: small, large, an upload, one that is given up, one that nobody reads. */
async function ask(client: http2.ClientHttp2Session, index: number): Promise<void> {
  const kind = index % 5;
  const path = kind === 3 ? '/hang' : kind === 1 || kind === 4 ? '/large' : `/${index}`;
  const upload = kind === 2;
  const stream = client.request({ ':path': path, ':method': upload ? 'POST' : 'GET' });
  stream.on('error', () => undefined);
  const closed = new Promise((resolve) => stream.once('close', resolve));
  if (upload) stream.end(Buffer.alloc(200_000));
  if (kind === 3) setImmediate(() => stream.close(http2.constants.NGHTTP2_CANCEL));
  else if (kind === 4) stream.once('response', () => stream.close(http2.constants.NGHTTP2_CANCEL));
  else stream.resume();
  await closed;
}

async function round(connections: number, requests: number): Promise<void> {
  const clients = await Promise.all(Array.from({ length: connections }, connect));
  for (const client of clients) {
    for (let at = 0; at < requests; at += 25) {
      await Promise.all(Array.from({ length: 25 }, (_, index) => ask(client, at + index)));
    }
  }
  for (const client of clients) client.destroy();
}

test('memory returns to what it was, whatever clients did', async () => {
  // The first rounds fill caches and pools.
  await round(10, 300);
  await round(10, 300);
  const before = await settledHeap();
  for (let count = 0; count < 4; count += 1) await round(10, 300);
  const after = await settledHeap();
  expect(after - before).toBeLessThan(4 << 20);
});
