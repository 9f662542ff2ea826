import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import type net from 'node:net';
import type { Readable } from 'node:stream';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Route } from '#contracts/route.ts';
import { Edge } from '../../test/edge.ts';

/**
 * All pods of a worker share the memory that their bytes are read into, and clients take them at their
 * own pace: whatever waits for a client must not be overwritten by what other pods say.
 */

const bytesEach = 1_500_000;

let edge: Edge;
beforeEach(async () => {
  edge = await Edge.start();
});
afterEach(() => edge.close());

/** Bytes that no other pod has at any place. */
function bytesOf(pod: number, length = bytesEach): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE((pod << 24) | at, at);
  return bytes;
}

const gzip = { codings: ['gzip' as const], excludedTypes: [], minBytes: 1 };
const fields = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n';
const framings = {
  none: piecesOf,
  length: (bytes: Buffer) => [
    Buffer.from(`${fields}Content-Length: ${bytes.length}\r\n\r\n`),
    ...piecesOf(bytes),
  ],
  chunked: (bytes: Buffer) => [
    Buffer.from(`${fields}Transfer-Encoding: chunked\r\n\r\n`),
    ...piecesOf(bytes).flatMap((piece) => [
      Buffer.from(`${piece.length.toString(16)}\r\n`),
      piece,
      Buffer.from('\r\n'),
    ]),
    Buffer.from('0\r\n\r\n'),
  ],
};

/** Of all sizes, small ones among them. */
function piecesOf(bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (
    let at = 0, size = 200_000;
    at < bytes.length;
    at += size, size = ((size * 7) % 90_001) + 1
  ) {
    pieces.push(bytes.subarray(at, at + size));
  }
  return pieces;
}

async function talkingPod(
  number: number,
  framing: keyof typeof framings,
  route: Partial<Route> = {},
): Promise<string> {
  const pod = `p${number}`;
  const talk = (socket: net.Socket): void => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      for (const piece of framings[framing](bytesOf(number))) socket.write(piece);
      if (framing === 'none') socket.end();
    });
  };
  await edge.pod(talk, { pod, ...route });
  return pod;
}

/** Reads in fits and starts. */
async function slowly(from: Readable): Promise<Buffer> {
  const gotten: Buffer[] = [];
  for await (const bytes of from) {
    if (Buffer.isBuffer(bytes)) gotten.push(bytes);
    if (gotten.length % 5 === 0) await turn();
  }
  return Buffer.concat(gotten);
}

async function http1(pod: string, headers: Record<string, string> = {}): Promise<Buffer> {
  const socket = await edge.secure(pod);
  const host = `${pod}.pods.example.test`;
  const request = https.get({
    createConnection: () => socket,
    headers: { Host: host, ...headers },
  });
  const [response]: Readable[] = await once(request, 'response');
  return response ? slowly(response) : Buffer.alloc(0);
}

async function overHttp2(pod: string): Promise<Buffer> {
  const socket = await edge.secure(pod, { ALPNProtocols: ['h2'] });
  const session = http2.connect(`https://${pod}.pods.example.test`, {
    createConnection: () => socket,
  });
  const bytes = await slowly(session.request());
  session.destroy();
  return bytes;
}

async function overTcp(pod: string): Promise<Buffer> {
  const socket = await edge.secure(pod);
  socket.end('go');
  return slowly(socket);
}

const compressed = async (pod: string): Promise<Buffer> =>
  gunzipSync(await http1(pod, { 'Accept-Encoding': 'gzip' }));

test('answers of many pods at once, in all ways that they go, arrive as they were sent', async () => {
  const ways = [http1, overHttp2, compressed, overTcp].flatMap((way) =>
    (['length', 'chunked', 'length'] as const).map((framing) => ({ way, framing })),
  );
  const arrived = await Promise.all(
    ways.map(async ({ way, framing }, at) => {
      if (way === overTcp) return way(await talkingPod(at + 1, 'none', { protocol: 'tcp' }));
      const route = way === compressed ? { policy: { compression: gzip } } : {};
      return way(await talkingPod(at + 1, framing, route));
    }),
  );
  const broken = arrived.flatMap((bytes, at) => (bytes.equals(bytesOf(at + 1)) ? [] : [at]));
  expect(broken).toEqual([]);
});

test('what waits for clients that do not read yet is not overwritten', async () => {
  const length = 16_000_000; // more than the kernel holds
  const pods = [1, 2, 3];
  const clients = await Promise.all(
    pods.map(async (pod) => {
      // In pieces so small that some wait behind others.
      const talk = async (socket: net.Socket): Promise<void> => {
        socket.on('error', () => undefined);
        const bytes = bytesOf(pod, length);
        for (let at = 0; at < length; at += 10_000) {
          socket.write(bytes.subarray(at, at + 10_000));
          await turn();
        }
        socket.end();
      };
      await edge.pod((socket) => void talk(socket), { pod: `p${pod}`, protocol: 'tcp' });
      return edge.secure(`p${pod}`);
    }),
  );
  await sleep(300);
  const arrived = await Promise.all(clients.map(slowly));
  const broken = arrived.flatMap((bytes, at) =>
    bytes.equals(bytesOf(at + 1, length)) ? [] : [at],
  );
  expect(broken).toEqual([]);
});
