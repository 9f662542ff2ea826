import { once } from 'node:events';
import http2 from 'node:http2';
import type net from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Route } from '#contracts/route.ts';
import { Edge } from '../test/edge.ts';
import { limits } from './limits.ts';

/** What an operator reads of each protocol, through real sockets. */

let edge: Edge;
beforeEach(async () => {
  edge = await Edge.start({ accessLog: 'all' });
});
afterEach(() => edge.close());

const host = 'a.pods.example.test';
const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';
const head = (fields = ''): string => `GET /x?secret HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`;

const answering = (socket: net.Socket): void =>
  void socket.on('data', () => socket.write(answer, 'latin1'));

const read = (): string[] => edge.lines.split('\n').slice(0, -1);

/** The lines so far, once there are `count`. */
async function lines(count = 1): Promise<Record<string, unknown>[]> {
  await expect
    .poll(async () => {
      await edge.clock.advance(100);
      return read().length;
    })
    .toBe(count);
  return read().map((line) => JSON.parse(line));
}

async function exchanged(socket: net.Socket, sent: string): Promise<string> {
  const received = once(socket, 'data');
  socket.write(sent, 'latin1');
  const [bytes]: Buffer[] = await received;
  return bytes?.toString('latin1') ?? '';
}

test('HTTP/1.1: each request of a connection, with its id and its bytes', async () => {
  await edge.pod(answering);
  const socket = await edge.secure();
  const sent = head('X-Request-Id: abc\r\n');
  const out = (await exchanged(socket, sent)).length;
  await exchanged(socket, head());
  const [first, second] = await lines(2);
  expect(first).toMatchObject({
    level: 30,
    id: 'abc',
    method: 'GET',
    host,
    path: '/x',
    client: '127.0.0.1',
    protocol: 'http1',
    tenant: 'default',
    pod: 'a',
    network: 'default',
    tries: 1,
    reused: false,
    status: 200,
    bytesIn: sent.length,
    bytesOut: out,
    ended: 'complete',
    msg: 'request',
  });
  expect(second).toMatchObject({ reused: true, bytesIn: head().length, bytesOut: out });
  expect(second?.['id']).toMatch(/./);
  expect(edge.lines).not.toContain('secret');
});

test('HTTP/2: each stream', async () => {
  await edge.pod(answering);
  const socket = await edge.secure('a', { ALPNProtocols: ['h2'] });
  const session = http2.connect(`https://${host}`, { createConnection: () => socket });
  const stream = session.request({ ':path': '/x' });
  stream.resume();
  await once(stream, 'close');
  session.destroy();
  const [line] = await lines();
  expect(line).toMatchObject({ protocol: 'http2', status: 200, path: '/x', ended: 'complete' });
});

test('a WebSocket gets its line when it is over, with everything that passed', async () => {
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
  const switching = `HTTP/1.1 101 Switching Protocols\r\n${upgrade}\r\n`;
  await edge.pod((pod) => {
    pod.once('data', () => {
      pod.write(switching);
      pod.pipe(pod);
    });
  });
  const socket = await edge.secure();
  const sent = head(
    `${upgrade}Sec-WebSocket-Key: ${'A'.repeat(22)}==\r\nSec-WebSocket-Version: 13\r\n`,
  );
  const out = (await exchanged(socket, sent)).length;
  await exchanged(socket, 'hello');
  expect(edge.lines).toBe('');
  socket.end();
  const [line] = await lines();
  expect(line).toMatchObject({
    protocol: 'websocket',
    status: 101,
    bytesIn: sent.length + 5,
    ended: 'pod ended it',
    msg: 'request',
  });
  expect(line?.['bytesOut']).toBe(out + 5);
});

test.each<[Partial<Route>, string]>([
  [{ protocol: 'tcp' }, 'tcp'],
  [{ protocol: 'postgres' }, 'postgres'],
])('a session of %o, with every byte', async (change, protocol) => {
  await edge.pod((socket) => socket.pipe(socket), change);
  const socket = await edge.secure('a', { ALPNProtocols: ['postgresql'] });
  await exchanged(socket, 'hello');
  socket.end();
  await once(socket.resume(), 'end');
  const [line] = await lines();
  expect(line).toMatchObject({ protocol, host, bytesIn: 5, bytesOut: 5, msg: 'session' });
});

test('a page says its code; what is no request has no host', async () => {
  edge.route({ state: 'stopped', upstream: null });
  await exchanged(await edge.secure(), head());
  const [page] = await lines();
  expect(page).toMatchObject({ level: 30, status: 503, ended: 'EDGE_POD_STOPPED', pod: 'a' });
  await exchanged(await edge.secure(), 'nonsense\r\n\r\n');
  const [, bad] = await lines(2);
  expect(bad).toMatchObject({ level: 30, status: 400, host: '' });
});

test('a pod that cuts its answer, and one that is away', async () => {
  await edge.pod((pod) =>
    pod.once('data', () => pod.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi')),
  );
  const socket = await edge.secure();
  socket.write(head());
  await once(socket.resume(), 'end');
  socket.destroy();
  edge.route({ upstream: { host: '127.0.0.1', port: 1 } });
  await exchanged(await edge.secure(), head());
  const [cut, away] = await lines(2);
  expect(cut).toMatchObject({ level: 40, status: 200, ended: 'pod cut it' });
  expect(away).toMatchObject({ level: 40, status: 502, ended: 'EDGE_UPSTREAM_REFUSED', tries: 1 });
});

test('a request that went to a dead connection first was sent twice', async () => {
  let connections = 0;
  await edge.pod((pod) => {
    connections += 1;
    if (connections > 1) answering(pod);
    else {
      pod.once('data', () => {
        pod.write(answer);
        pod.once('data', () => pod.destroy());
      });
    }
  });
  const socket = await edge.secure();
  await exchanged(socket, head());
  await exchanged(socket, head());
  const [, second] = await lines(2);
  expect(second).toMatchObject({ status: 200, tries: 2, reused: false, ended: 'complete' });
});

test('a client that leaves, and one that does not send what it promised', async () => {
  const asked = Promise.withResolvers<void>();
  await edge.pod((pod) => pod.once('data', () => asked.resolve()));
  const socket = await edge.secure('a', { ALPNProtocols: ['h2'] });
  const session = http2.connect(`https://${host}`, { createConnection: () => socket });
  const stream = session.request({ ':path': '/x' });
  stream.on('error', () => undefined);
  await asked.promise;
  stream.close(http2.constants.NGHTTP2_CANCEL);
  expect((await lines())[0]).toMatchObject({ level: 30, status: 0, ended: 'client left' });
  const slow = await edge.secure();
  slow.write(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 9\r\n\r\nabc`);
  await untilCut(slow);
  const [, line] = await lines(2);
  expect(line).toMatchObject({ level: 40, status: 0, bytesOut: 0, ended: 'timed out' });
});

/** Lets time pass until a client that is too slow is cut. */
async function untilCut(slow: net.Socket): Promise<void> {
  let cut = false;
  slow.resume().once('end', () => {
    cut = true;
  });
  await expect
    .poll(async () => {
      await edge.clock.advance(limits.bodyIdleMs);
      return cut;
    })
    .toBe(true);
  slow.destroy();
}
