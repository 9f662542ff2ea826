import http2 from 'node:http2';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Edge } from '../../test/edge.ts';

/** What node:http2 would throw at, were it asked: a worker that serves others must not end of it. */

let edge: Edge;
beforeEach(async () => {
  edge = await Edge.start();
});
afterEach(() => edge.close());

// Known to node:http2 but not to its declarations.
const lenient: object = { strictSingleValueFields: false };

async function get(headers: http2.OutgoingHttpHeaders = {}) {
  const socket = await edge.secure('a', { ALPNProtocols: ['h2'] });
  const client = http2.connect('https://a.pods.example.test', {
    createConnection: () => socket,
    ...lenient,
  });
  client.on('error', () => undefined);
  const stream = client.request({ ':path': '/', ...headers });
  stream.on('error', () => undefined);
  let status = 0;
  let received: http2.IncomingHttpHeaders = {};
  stream.on('response', (head) => {
    received = head;
    status = head[':status'] ?? 0;
  });
  stream.resume();
  await new Promise((resolve) => stream.once('close', resolve));
  client.destroy();
  return { status, headers: received };
}

const answering = (answer: string): Promise<void> =>
  edge.pod((socket) => socket.on('data', () => socket.write(answer, 'latin1')));

describe('answers of a pod', () => {
  test.each([
    [
      'a field twice that is said once',
      'Content-Type: a\r\nContent-Type: b\r\nDate: x\r\nDate: y\r\n',
      200,
    ],
    [
      'x-content-type-options twice',
      'X-Content-Type-Options: nosniff\r\nx-content-type-options: nosniff\r\n',
      200,
    ],
    ['a field of HTTP/2 upgrades', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n', 200],
    ['te', 'TE: gzip\r\n', 200],
    ['letters beyond ASCII', 'X-Name: caf\u00e9\r\n', 200],
    ['a field with no value', 'X-Empty:\r\n', 200],
    ['a status without a name', '', 299],
  ])('%s', async (_name, fields, status) => {
    await answering(`HTTP/1.1 ${status} \r\n${fields}Content-Length: 2\r\n\r\nok`);
    expect((await get()).status).toBe(status);
    expect((await get()).status).toBe(status);
  });

  test('informational ones and trailers too', async () => {
    await answering(
      'HTTP/1.1 103 \r\nETag: "a"\r\nETag: "b"\r\nHTTP2-Settings: x\r\n\r\n' +
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nETag: "a"\r\nETag: "b"\r\n\r\n',
    );
    expect((await get()).status).toBe(200);
  });
});

describe('requests', () => {
  test('a field twice that is said once, to a pod in h2c', async () => {
    const server = http2.createServer({ strictSingleValueFields: false });
    server.on('stream', (stream: http2.ServerHttp2Stream) => {
      stream.respond({ ':status': 200 }, { endStream: true });
    });
    await edge.serve(server, { policy: { h2c: true } });
    const socket = await edge.secure();
    socket.write(
      'GET / HTTP/1.1\r\nHost: a.pods.example.test\r\nReferer: a\r\nReferer: b\r\nUser-Agent: c\r\n' +
        'User-Agent: d\r\nHTTP2-Settings: x\r\nConnection: close\r\n\r\n',
    );
    let received = '';
    for await (const bytes of socket) received += String(bytes);
    expect(received).toMatch(/^HTTP\/1\.1 200 /);
  });
});

test('a pod that says GOAWAY under our requests gets them on another connection', async () => {
  const server = http2.createServer();
  let sessions = 0;
  let served = 0;
  server.on('session', () => (sessions += 1));
  server.on('stream', (stream: http2.ServerHttp2Stream) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200 }, { endStream: true });
    // What comes after this stream shall go elsewhere, and may be on its way already.
    served += 1;
    if (served % 5 === 0) stream.session?.goaway(http2.constants.NGHTTP2_NO_ERROR, stream.id ?? 0);
  });
  await edge.serve(server, { policy: { h2c: true } });
  for (let round = 0; round < 20; round += 1) {
    const answers = await Promise.all(Array.from({ length: 10 }, () => get()));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
  }
  expect(sessions).toBeGreaterThan(1);
});
