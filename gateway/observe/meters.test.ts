import { once } from 'node:events';
import http2 from 'node:http2';
import type net from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Edge } from '../../test/edge.ts';
import { Totals } from '../admin/totals.ts';
import type { NetworkReport, RecentError } from './report.ts';
import { protocols } from './report.ts';

let edge: Edge;
beforeEach(async () => {
  edge = await Edge.start();
});
afterEach(() => edge.close());

const host = 'a.pods.example.test';
const worker = { number: 0, pid: 1 };
const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';
const request = `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const networkKeys = ['requests', 'bytesIn', 'bytesOut', 'opened'] as const;

const none = Object.fromEntries(protocols.map((protocol) => [protocol, [0, 0, 0, 0, 0]]));

/** All that was reported so far, a second later. */
async function told() {
  await edge.clock.advance(1_000);
  const totals = new Totals();
  const network = { requests: 0, bytesIn: 0, bytesOut: 0, opened: 0 };
  const statuses = [0, 0, 0, 0, 0];
  const errors: RecentError[] = [];
  const add = (more: NetworkReport): void => {
    for (const key of networkKeys) network[key] += more[key];
    for (const [index, count] of more.statuses.entries()) {
      statuses[index] = (statuses[index] ?? 0) + count;
    }
  };
  for (const report of edge.reports) {
    totals.fold(worker, report);
    for (const more of report.networks.filter((each) => each.host === host)) add(more);
    errors.push(...report.errors);
  }
  return { totals, now: edge.reports.at(-1)?.now, network: { ...network, statuses }, errors };
}

/** Answers each request of a connection as soon as its head is there. */
const answering =
  (text = answer) =>
  (socket: net.Socket): void =>
    void socket.on('data', () => socket.write(text, 'latin1'));

async function exchanged(socket: net.Socket, sent: string): Promise<string> {
  const received = once(socket, 'data');
  socket.write(sent, 'latin1');
  const [bytes] = (await received) as [Buffer];
  return bytes.toString('latin1');
}

/** Resolves when the gateway has ended its side. */
async function ended(socket: net.Socket): Promise<void> {
  socket.resume();
  await once(socket, 'end');
  socket.destroy();
}

test('requests on one connection are counted one by one, with every byte', async () => {
  await edge.pod(answering());
  const socket = await edge.secure();
  let out = 0;
  for (let count = 0; count < 3; count += 1) out += (await exchanged(socket, request)).length;
  const { totals, network, now } = await told();
  expect(network).toEqual({
    requests: 3,
    statuses: [0, 3, 0, 0, 0],
    bytesIn: 3 * request.length,
    bytesOut: out,
    opened: 0,
  });
  expect(totals.requests['http1']).toEqual([0, 3, 0, 0, 0]);
  expect(totals.bytesIn).toBe(3 * request.length);
  expect(totals.bytesOut).toBe(out);
  expect(totals.connections).toEqual({ https: 1 });
  expect(totals.handshakes).toEqual({ full: 1 });
  expect(totals.upstreamConnections).toBe(1);
  expect(now).toMatchObject({ connections: 1, requests: 0, upstreamBusy: 0, upstreamIdle: 1 });
});

test('a report has only what is new', async () => {
  await edge.pod(answering());
  await exchanged(await edge.secure(), request);
  await told();
  await edge.clock.advance(1_000);
  expect(edge.reports.at(-1)).toMatchObject({
    counts: { connections: {}, requests: none, bytesIn: 0, upstreamConnections: 0 },
    networks: [],
    errors: [],
  });
});

test('what is under way counts before it ends, and its bytes as they pass', async () => {
  const began = Promise.withResolvers<net.Socket>();
  await edge.pod((socket) => {
    began.resolve(socket);
    socket.resume();
  });
  const socket = await edge.secure();
  const head = `PUT / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000\r\n\r\n`;
  socket.write(`${head}${'x'.repeat(400)}`);
  const pod = await began.promise;
  await until(() => pod.bytesRead > 400);
  const half = await told();
  expect(half.network).toMatchObject({ requests: 0, opened: 1, bytesIn: head.length + 400 });
  expect(half.now?.requests).toBe(1);
  const received = once(socket, 'data');
  socket.write('x'.repeat(600));
  await until(() => pod.bytesRead > 1_000);
  pod.write(answer);
  await received;
  const whole = await told();
  expect(whole.network).toMatchObject({ requests: 1, opened: 0, bytesIn: head.length + 1_000 });
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${String(condition)}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('times go into the bucket that they belong to', async () => {
  let pod: net.Socket | undefined;
  await edge.pod((socket) => {
    pod = socket.on('data', () => undefined);
  });
  const socket = await edge.secure();
  const received = once(socket, 'data');
  socket.write(request);
  await until(() => (pod?.bytesRead ?? 0) > 0);
  await edge.clock.advance(300);
  pod?.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh');
  await received;
  await edge.clock.advance(400);
  const rest = once(socket, 'data');
  pod?.write('i');
  await rest;
  const { totals } = await told();
  // Upper bounds: 0.25, 0.5, 1 seconds.
  expect(totals.firstByteTiming.counts.slice(7, 10)).toEqual([0, 1, 0]);
  expect(totals.firstByteTiming.sumSeconds).toBeCloseTo(0.3);
  expect(totals.requestTiming.counts.slice(7, 10)).toEqual([0, 0, 1]);
  expect(totals.requestTiming.sumSeconds).toBeCloseTo(0.7);
});

test('pages of the gateway count for their pod, and for nobody where there is none', async () => {
  edge.route({ state: 'stopped', upstream: null });
  const socket = await edge.secure();
  const page = await exchanged(socket, request);
  const nobody = await edge.secure('nobody');
  const lost = await exchanged(nobody, request.replace(host, 'nobody.pods.example.test'));
  const bad = await edge.secure();
  await exchanged(bad, 'GET /\r\n\r\n');
  const { totals, network } = await told();
  expect(network).toEqual({
    requests: 1,
    statuses: [0, 0, 0, 0, 1],
    bytesIn: request.length,
    bytesOut: page.length,
    opened: 0,
  });
  expect(totals.requests['http1']).toEqual([0, 0, 0, 2, 1]);
  expect(totals.bytesOut).toBeGreaterThan(page.length + lost.length);
  expect(totals.upstreamErrors).toEqual({});
});

test('a pod that refuses, hangs up or cuts its answer is an error, with its newest words', async () => {
  await edge.pod((socket) => socket.on('data', () => socket.destroy()));
  await exchanged(await edge.secure(), request);
  await edge.pod((socket) =>
    socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')),
  );
  const cut = await edge.secure();
  cut.write(request);
  await ended(cut);
  edge.route({ upstream: { host: '127.0.0.1', port: 1 } });
  await exchanged(await edge.secure(), request);
  const { totals, network, errors } = await told();
  expect(totals.upstreamErrors).toEqual({ EDGE_UPSTREAM_FAILED: 2, EDGE_UPSTREAM_REFUSED: 1 });
  expect(network).toMatchObject({ requests: 3, statuses: [0, 1, 0, 0, 2], opened: 0 });
  expect(errors.map(({ host: of, kind, code }) => [of, kind, code])).toEqual([
    [host, 'upstream', 'EDGE_UPSTREAM_FAILED'],
    [host, 'upstream', 'EDGE_UPSTREAM_FAILED'],
    [host, 'upstream', 'EDGE_UPSTREAM_REFUSED'],
  ]);
  expect(errors[1]?.message).toContain('in the middle of its answer');
});

test('a client that gives up before its answer counts among the 4xx', async () => {
  let pod: net.Socket | undefined;
  await edge.pod((socket) => {
    pod = socket.on('data', () => undefined);
  });
  const socket = await edge.secure('a', { ALPNProtocols: ['h2'] });
  const client = http2.connect(`https://${host}`, { createConnection: () => socket });
  const stream = client.request({ ':path': '/' });
  await until(() => (pod?.bytesRead ?? 0) > 0);
  expect((await told()).now?.requests).toBe(1);
  stream.close(http2.constants.NGHTTP2_CANCEL);
  await until(() => pod?.readableEnded === true);
  const { network, now } = await told();
  expect(network).toMatchObject({ requests: 1, statuses: [0, 0, 0, 1, 0], opened: 0 });
  expect(now?.requests).toBe(0);
  client.destroy();
});

test('a WebSocket is a request with 101, then a tunnel whose bytes count while it is open', async () => {
  await edge.pod((socket) => {
    socket.on('end', () => socket.end());
    socket.once('data', () => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      );
      socket.on('data', (bytes) => socket.write(bytes));
    });
  });
  const socket = await edge.secure();
  const upgrade =
    `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
  const agreed = await exchanged(socket, upgrade);
  const frame = '\x82\x05hello';
  expect(await exchanged(socket, frame)).toBe(frame);
  const open = await told();
  expect(open.totals.requests).toEqual({ ...none, websocket: [1, 0, 0, 0, 0] });
  expect(open.now).toMatchObject({ tunnels: 1, requests: 0 });
  expect(open.network).toEqual({
    requests: 1,
    statuses: [1, 0, 0, 0, 0],
    bytesIn: upgrade.length + frame.length,
    bytesOut: agreed.length + frame.length,
    opened: 1,
  });
  socket.destroy();
  const closed = async (): Promise<number | undefined> => (await told()).network.opened;
  await expect.poll(closed).toBe(0);
});

test('HTTP/2 counts streams, their content and their heads', async () => {
  await edge.pod(answering());
  const socket = await edge.secure('a', { ALPNProtocols: ['h2'] });
  const client = http2.connect(`https://${host}`, { createConnection: () => socket });
  const stream = client.request({ ':method': 'POST', ':path': '/' });
  stream.end(Buffer.alloc(10_000));
  await once(stream, 'response');
  stream.resume();
  await once(stream, 'end');
  const { totals, network } = await told();
  expect(totals.requests).toEqual({ ...none, http2: [0, 1, 0, 0, 0] });
  expect(network).toMatchObject({ requests: 1, statuses: [0, 1, 0, 0, 0], opened: 0 });
  expect(network.bytesIn).toBeGreaterThan(10_000);
  expect(network.bytesIn).toBeLessThan(10_500);
  expect(network.bytesOut).toBeGreaterThan(30);
  expect(network.bytesOut).toBeLessThan(200);
  client.destroy();
});

test('sessions of TCP have no status; one whose pod is away is an error', async () => {
  await edge.pod((socket) => socket.pipe(socket), { protocol: 'tcp' });
  const socket = await edge.secure();
  await exchanged(socket, 'ping');
  const open = await told();
  expect(open.network).toEqual({
    requests: 1,
    statuses: [0, 0, 0, 0, 0],
    bytesIn: 4,
    bytesOut: 4,
    opened: 1,
  });
  expect(open.now?.tunnels).toBe(1);
  const end = ended(socket);
  socket.end();
  await end;
  await expect.poll(async () => (await told()).network.opened).toBe(0);

  edge.route({ protocol: 'tcp', upstream: { host: '127.0.0.1', port: 1 } });
  await edge.secure();
  const requests = async () => (await told()).totals.requests;
  await expect.poll(requests).toEqual({ ...none, tcp: [0, 1, 0, 0, 1] });
  const { totals } = await told();
  expect(totals.upstreamErrors).toEqual({ EDGE_UPSTREAM_REFUSED: 1 });
});

test('how handshakes end: refused by an alert, failed by the client, passed on', async () => {
  await expect(edge.secure('a', { servername: 'elsewhere.test' })).rejects.toThrow();
  const nonsense = await edge.dial();
  nonsense.write(Buffer.from([0x16, 3, 1]));
  nonsense.destroy();
  const silent = await edge.dial();
  silent.destroy();
  await edge.pod((socket) => socket.end(), { policy: { passthrough: true }, pod: 'raw' });
  await expect(edge.secure('raw')).rejects.toThrow();
  await expect
    .poll(async () => (await told()).totals.handshakes)
    .toEqual({ refused: 1, failed: 1, passed: 1 });
});
