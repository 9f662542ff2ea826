import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { text as textOf } from 'node:stream/consumers';
import tls from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Edge, makeIdentity } from '../test/edge.ts';
import { ClientSocket, ignore } from './client-socket.ts';
import { splice } from './tcp/splice.ts';
import { acceptFor } from './websocket.ts';

/**
 * All clients of a worker share the memory that their bytes are read into, and pods take them at
 * their own pace: whatever waits for a pod must not be overwritten by what others send.
 */

const bytesEach = 3_000_000;
const clientsEach = 3;

let edge: Edge;
beforeEach(async () => {
  edge = await Edge.start();
});
afterEach(() => edge.close());

/** Bytes that no other client has at any place. */
function bytesOf(client: number): Buffer {
  const bytes = Buffer.alloc(bytesEach);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE((client << 24) | at, at);
  return bytes;
}

/** A pod that reads in fits and starts, and keeps what it gets. */
function slowly(socket: Duplex, gotten: Buffer[]): void {
  socket.on('error', () => undefined);
  socket.on('data', (bytes: Buffer) => {
    gotten.push(bytes);
    if (gotten.length % 3 > 0) return;
    socket.pause();
    void turn().then(() => socket.resume());
  });
}

async function tcpUpload(client: number, pod: string): Promise<Buffer> {
  const gotten: Buffer[] = [];
  const accept = (socket: net.Socket): void => {
    slowly(socket, gotten);
    socket.on('end', () => socket.end());
  };
  await edge.pod(accept, { pod, protocol: 'tcp' });
  const socket = await edge.secure(pod);
  await send(socket, bytesOf(client));
  socket.end();
  await once(socket.resume(), 'end');
  return Buffer.concat(gotten);
}

/** In pieces of all sizes, small ones among them. */
async function send(to: NodeJS.WritableStream, bytes: Buffer): Promise<void> {
  for (let at = 0, size = 1; at < bytes.length; at += size, size = ((size * 7) % 50_000) + 1) {
    if (!to.write(bytes.subarray(at, at + size))) await once(to, 'drain');
  }
}

/** A pod in HTTP/1.1 that keeps bodies of a known length and says when it has all. */
async function keepingPod(pod: string): Promise<() => Buffer> {
  const gotten: Buffer[] = [];
  await edge.pod(
    (socket) => {
      slowly(socket, gotten);
      let there = 0;
      let head = '';
      socket.on('data', (bytes: Buffer) => {
        there += bytes.length;
        if (!head.includes('\r\n\r\n')) head += bytes.toString('latin1');
        const headBytes = head.indexOf('\r\n\r\n') + 4;
        if (headBytes > 3 && there === headBytes + bytesEach) {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
        }
      });
    },
    { pod },
  );
  return () => {
    const all = Buffer.concat(gotten);
    return all.subarray(all.indexOf('\r\n\r\n') + 4);
  };
}

async function http1Upload(client: number, pod: string): Promise<Buffer> {
  const body = await keepingPod(pod);
  const socket = await edge.secure(pod);
  const request = https.request({
    method: 'PUT',
    createConnection: () => socket,
    headers: { Host: `${pod}.pods.example.test`, 'Content-Length': bytesEach },
  });
  const answered = once(request, 'response');
  await send(request, bytesOf(client));
  request.end();
  await answered;
  return body();
}

async function http2Upload(client: number, pod: string): Promise<Buffer> {
  const body = await keepingPod(pod);
  const socket: tls.TLSSocket = await edge.secure(pod, { ALPNProtocols: ['h2'] });
  const session = http2.connect(`https://${pod}.pods.example.test`, {
    createConnection: () => socket,
  });
  const stream = session.request({ ':method': 'PUT', 'content-length': bytesEach });
  const answered = once(stream, 'response');
  await send(stream, bytesOf(client));
  stream.end();
  await answered;
  session.destroy();
  return body();
}

/** In chunks, to a pod that speaks HTTP/2. */
async function h2cUpload(client: number, pod: string): Promise<Buffer> {
  const gotten: Buffer[] = [];
  const server = http2.createServer().on('stream', (stream: http2.ServerHttp2Stream) => {
    slowly(stream, gotten);
    stream.on('end', () => {
      stream.respond({ ':status': 200 });
      stream.end();
    });
  });
  await edge.serve(server, { pod, policy: { h2c: true } });
  const socket = await edge.secure(pod);
  const request = https.request({
    method: 'PUT',
    createConnection: () => socket,
    headers: { Host: `${pod}.pods.example.test` },
  });
  const answered = once(request, 'response');
  await send(request, bytesOf(client));
  request.end();
  await answered;
  return Buffer.concat(gotten);
}

/** A pod that agrees to WebSocket, keeps what comes behind its head, and ends with the client. */
async function webSocketPod(pod: string): Promise<() => Buffer> {
  const gotten: Buffer[] = [];
  await edge.pod(
    (socket) => {
      slowly(socket, gotten);
      socket.once('data', (bytes: Buffer) => {
        const key = /sec-websocket-key: *(.*)\r\n/i.exec(bytes.toString('latin1'))?.[1] ?? '';
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
            `Sec-WebSocket-Accept: ${acceptFor(key)}\r\n\r\n`,
        );
      });
      socket.on('end', () => socket.end());
    },
    { pod },
  );
  return () => {
    const all = Buffer.concat(gotten);
    return all.subarray(all.indexOf('\r\n\r\n') + 4);
  };
}

/** The first of it comes before the pod has agreed. */
async function webSocketUpload(client: number, pod: string): Promise<Buffer> {
  const body = await webSocketPod(pod);
  const socket = await edge.secure(pod);
  socket.write(
    `GET / HTTP/1.1\r\nHost: ${pod}.pods.example.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  await send(socket, bytesOf(client));
  socket.end();
  await once(socket.resume(), 'end');
  return body();
}

async function webSocketOverHttp2Upload(client: number, pod: string): Promise<Buffer> {
  const body = await webSocketPod(pod);
  const socket: tls.TLSSocket = await edge.secure(pod, { ALPNProtocols: ['h2'] });
  const session = http2.connect(`https://${pod}.pods.example.test`, {
    createConnection: () => socket,
  });
  await once(session, 'remoteSettings');
  const stream = session.request(
    { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', 'sec-websocket-version': '13' },
    { endStream: false },
  );
  await send(stream, bytesOf(client));
  stream.end();
  await once(stream.resume(), 'end');
  session.destroy();
  return body();
}

const ways = [
  tcpUpload,
  http1Upload,
  http2Upload,
  h2cUpload,
  webSocketUpload,
  webSocketOverHttp2Upload,
];

test('uploads of many clients at once, in all protocols, arrive as they were sent', async () => {
  const uploads = ways.flatMap((upload) => Array.from({ length: clientsEach }, () => upload));
  const arrived = await Promise.all(uploads.map((upload, at) => upload(at + 1, `p${at}`)));
  const broken = arrived.flatMap((bytes, at) => (bytes.equals(bytesOf(at + 1)) ? [] : [at]));
  expect(broken).toEqual([]);
});

test('a head that comes in pieces is whole though others send meanwhile', async () => {
  await edge.pod((socket) => {
    socket.on('data', (bytes: Buffer) => {
      const path = String(bytes).split(' ')[1] ?? '';
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
    });
  });
  const clients = await Promise.all(Array.from({ length: 4 }, () => edge.secure()));
  const answers = clients.map((socket) => once(socket, 'data'));
  const parts = ['GET /', '#'.repeat(50), ' HTTP/1.1\r\nHo', 'st: a.pods.example.test\r\n\r\n'];
  for (const part of parts) {
    for (const [at, socket] of clients.entries()) {
      socket.write(part.replaceAll('#', String(at)));
      await turn();
    }
  }
  const texts = (await Promise.all(answers)).map(([bytes]) => String(bytes).split('\r\n\r\n')[1]);
  expect(texts).toEqual(clients.map((_, at) => `/${String(at).repeat(50)}`));
});

/** Both ends of a connection. */
async function pair(): Promise<{ far: net.Socket; raw: net.Socket }> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const far = net
    .connect((server.address() as net.AddressInfo).port, '127.0.0.1')
    .on('error', ignore);
  const [raw] = (await once(server, 'connection')) as [net.Socket];
  server.close();
  return { far, raw };
}

/** One whose client says nothing: what was read is told by the test. */
async function silentSocket(received: (bytes: Buffer) => void): Promise<ClientSocket> {
  const { far, raw } = await pair();
  const secureContext = tls.createSecureContext();
  const socket = new ClientSocket(raw, { secureContext, alpn: undefined });
  socket.on('close', () => far.destroy());
  socket.serve({ received, drained: ignore, ended: ignore, closed: ignore });
  return socket;
}

test('after a fault nothing more is read: whose the memory is, nobody knows', async () => {
  const socket = await silentSocket(() => {
    throw new Error('a fault');
  });
  expect(() => socket.filled(1)).toThrow('a fault');
  expect(socket.destroyed).toBe(true);
});

test('a text after the end is an error, as everywhere', async () => {
  const socket = await silentSocket(ignore);
  socket.end();
  const failed = once(socket, 'error');
  socket.writeText('late');
  expect(await failed).toMatchObject([{ code: 'ERR_STREAM_WRITE_AFTER_END' }]);
});

test('a client who is gone is noticed by who writes to him, though nothing is read', async () => {
  const { far, raw } = await pair();
  const { chain, key } = makeIdentity();
  const secureContext = tls.createSecureContext({ cert: chain, key });
  const socket = new ClientSocket(raw, { secureContext, alpn: undefined });
  const client = tls.connect({ socket: far, rejectUnauthorized: false }).on('error', ignore);
  await once(client, 'secureConnect');
  socket.readTo({ received: () => void socket.pause().write('b') });
  client.write('a');
  await once(client, 'data');
  far.resetAndDestroy();
  await once(far, 'close');
  for (let texts = 0; texts < 5; texts += 1) {
    socket.writeText('b');
    await turn();
  }
  expect(socket.destroyed).toBe(true);
});

test('a piece that waits for somebody slow keeps no more memory than itself', async () => {
  const lent: Buffer[] = [];
  const socket = await silentSocket((bytes) =>
    lent.push(socket.lend(bytes), socket.lend(bytes, { writableLength: 1 })),
  );
  socket.filled(10);
  socket.readAsStream();
  socket.filled(10);
  lent.push(socket.read());
  socket.destroy();
  expect(lent.map(({ buffer }) => buffer.byteLength)).toEqual([10, 10, 10]);
});

test('what waits for a pod of TCP that is not there yet is not overwritten', async () => {
  let shared: Buffer = Buffer.alloc(0);
  const socket = await silentSocket((bytes) => (shared = bytes));
  socket.filled(10_000);
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const pod = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  splice(socket, pod);
  for (const [text, length] of [
    ['a', 100],
    ['b', 5_000],
  ] as const) {
    shared.fill(text);
    socket.filled(length);
  }
  shared.fill('c');
  const [there] = (await accepted) as [net.Socket];
  server.close();
  let gotten = '';
  for await (const bytes of there) {
    gotten += String(bytes);
    if (gotten.length === 5_100) break;
  }
  socket.destroy();
  expect(gotten).toBe('a'.repeat(100) + 'b'.repeat(5_000));
});

test('answers of all sizes leave in order, also to clients that are slow to read, and the end after them', async () => {
  const sizes = [3, 12_000, 1, 60_000, 5];
  const bodyOf = (number: number): string =>
    `${number}${'.'.repeat(sizes[number % sizes.length] ?? 0)}`;
  await edge.pod((socket) => {
    socket.on('data', (bytes: Buffer) => {
      const body = bodyOf(Number(String(bytes).split(' ')[1]?.slice(1)));
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
  });
  const count = 300; // 4 MB, which no buffer of the kernel takes all of
  const client = await edge.secure();
  client.pause();
  for (let number = 0; number < count; number += 1) {
    const last = number === count - 1 ? 'Connection: close\r\n' : '';
    client.write(`GET /${number} HTTP/1.1\r\nHost: a.pods.example.test\r\n${last}\r\n`);
    if (number % 10 === 0) await turn();
  }
  let text = '';
  client.on('data', (bytes: Buffer) => (text += String(bytes)));
  client.resume();
  await once(client, 'end');
  const bodies = text.split(/HTTP\/1\.1 [^\0]*?\r\n\r\n/).slice(1);
  expect(bodies).toEqual(Array.from({ length: count }, (_, number) => bodyOf(number)));
});

test('a connection that ends with its answer tells the client so, in words of TLS', async () => {
  await edge.pod((socket) => {
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  });
  const argv = ['s_client', '-connect', `127.0.0.1:${edge.port}`, '-ign_eof', '-msg'];
  const client = spawn('openssl', [...argv, '-servername', 'a.pods.example.test']);
  const gotten: Promise<string> = textOf(client.stdout);
  client.stdin.write('GET / HTTP/1.1\r\nHost: a.pods.example.test\r\nConnection: close\r\n\r\n');
  await once(client, 'close');
  const [, answer = ''] = (await gotten).split('HTTP/1.1 200 OK');
  expect(answer).toMatch(/ok[^]*<<< TLS 1.3, Alert [^\n]*warning close_notify/);
});
