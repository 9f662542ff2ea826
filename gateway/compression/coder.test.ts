import { randomBytes } from 'node:crypto';
import http from 'node:http';
import http2 from 'node:http2';
import zlib from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Edge } from '../../test/edge.ts';

/** Compressed answers over real connections, in HTTP/1.1 and HTTP/2. */

let edge: Edge;
beforeEach(async () => {
  edge = await Edge.start();
});
afterEach(() => edge.close());

const policy = {
  compression: { codings: ['zstd', 'br', 'gzip'], excludedTypes: [], minBytes: 100 },
} as const;

const text = 'All work and no play makes Jack a dull boy. '.repeat(50_000);
const unpack = {
  gzip: zlib.gunzipSync,
  br: zlib.brotliDecompressSync,
  zstd: zlib.zstdDecompressSync,
};

const pod = (answer: http.RequestListener): Promise<void> =>
  edge.serve(http.createServer(answer), { policy: structuredClone(policy) as never });

interface Answer {
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** By HTTP/1.1, on connections that go on. */
async function get1(headers: http.OutgoingHttpHeaders, connection: http.Agent): Promise<Answer> {
  const request = http.request({
    agent: connection,
    path: '/',
    headers: { ...headers, host: 'a.pods.example.test' },
  });
  request.end();
  const response = await new Promise<http.IncomingMessage>((resolve) => {
    request.once('response', resolve);
  });
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return { headers: response.headers, body: Buffer.concat(parts) };
}

async function get2(headers: http.OutgoingHttpHeaders): Promise<Answer> {
  const socket = await edge.secure('a', { ALPNProtocols: ['h2'] });
  const client = http2.connect('https://a.pods.example.test', { createConnection: () => socket });
  const stream = client.request({ ':path': '/', ...headers });
  const received = new Promise<http2.IncomingHttpHeaders>((resolve) => {
    stream.once('response', resolve);
  });
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  client.close();
  return { headers: await received, body: Buffer.concat(parts) };
}

async function agent(): Promise<http.Agent> {
  const socket = await edge.secure();
  const made = new http.Agent({ keepAlive: true, maxSockets: 1 });
  Reflect.set(made, 'createConnection', () => socket);
  return made;
}

describe.each(['gzip', 'br', 'zstd'] as const)('%s', (coding) => {
  const accept = { 'accept-encoding': coding };

  test.each([
    ['known', { 'Content-Length': String(text.length) }],
    ['unknown', {}],
  ])('an answer of %s length, over both protocols', async (_name, length) => {
    await pod((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/plain', ...length });
      response.end(text);
    });
    const connection = await agent();
    for (const answer of [
      await get1(accept, connection),
      await get1(accept, connection),
      await get2(accept),
    ]) {
      expect(answer.headers['content-encoding']).toBe(coding);
      expect(answer.headers['content-length']).toBeUndefined();
      expect(answer.body.length).toBeLessThan(text.length / 20);
      expect(unpack[coding](answer.body).toString() === text).toBe(true);
    }
  });

  test('what the pod says slowly comes as it is said', async () => {
    let response: http.ServerResponse | undefined;
    await pod((_request, answering) => {
      response = answering;
      answering.setHeader('Content-Type', 'text/plain');
      answering.write('first');
    });
    const socket = await edge.secure();
    socket.write(
      `GET / HTTP/1.1\r\nHost: a.pods.example.test\r\nAccept-Encoding: ${coding}\r\n\r\n`,
    );
    const unpacking = {
      gzip: zlib.createGunzip,
      br: zlib.createBrotliDecompress,
      zstd: zlib.createZstdDecompress,
    }[coding]();
    let seen = '';
    unpacking.on('data', (bytes: Buffer) => (seen += String(bytes)));
    let raw = Buffer.alloc(0);
    let headEnd = -1;
    socket.on('data', (bytes: Buffer) => {
      raw = Buffer.concat([raw, bytes]);
      if (headEnd < 0) {
        headEnd = raw.indexOf('\r\n\r\n');
        if (headEnd < 0) return;
        raw = raw.subarray(headEnd + 4);
      }
      for (;;) {
        const line = raw.indexOf('\r\n');
        const size = line < 0 ? 0 : Number.parseInt(raw.toString('latin1', 0, line), 16);
        if (size === 0 || raw.length < line + 4 + size) return;
        unpacking.write(raw.subarray(line + 2, line + 2 + size));
        raw = raw.subarray(line + 4 + size);
      }
    });
    await expect.poll(() => seen).toBe('first');
    response?.write(' second');
    await expect.poll(() => seen).toBe('first second');
    response?.end();
  });
});

test('a pod that fails in the middle does not leave a whole answer', async () => {
  await pod((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': '100000' });
    response.write(text.slice(0, 50_000));
    setTimeout(() => response.destroy(), 50);
  });
  await expect(get1({ 'accept-encoding': 'gzip' }, await agent())).rejects.toThrow();
});

test('a client that reads nothing stops the pod', async () => {
  let written = 0;
  await edge.pod(
    (socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n');
        // What does not compress reaches the client in its full size.
        const more = (): void => {
          while (written < 1 << 28) {
            written += 1 << 16;
            if (!socket.write(randomBytes(1 << 16))) break;
          }
        };
        socket.on('drain', more);
        more();
      });
    },
    { policy: structuredClone(policy) as never },
  );
  const socket = await edge.secure();
  socket.pause();
  socket.write('GET / HTTP/1.1\r\nHost: a.pods.example.test\r\nAccept-Encoding: zstd\r\n\r\n');
  let before = -1;
  while (before !== written) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  expect(written).toBeLessThan(24 << 20);
}, 30_000);
