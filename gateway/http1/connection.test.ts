import { once } from 'node:events';
import net from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { Deadlines } from '../deadlines.ts';
import { limits } from '../limits.ts';
import { Http1Connection } from './connection.ts';
import { examplePeer, exampleRoute, httpContext, portOf } from '../../test/gateway-examples.ts';

/** A pod by script: answers each connection's bytes with what the test says. */
type Script = (socket: net.Socket, received: string, connection: number) => void;

let clock: ManualClock;
let deadlines: Deadlines;
let script: Script;
let pod: net.Server;
let edge: net.Server;
let podConnections = 0;
let podReceived = '';

beforeEach(async () => {
  clock = new ManualClock();
  deadlines = new Deadlines(clock);
  podConnections = 0;
  podReceived = '';
  pod = net.createServer((socket) => {
    podConnections += 1;
    const connection = podConnections;
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      podReceived += bytes.toString('latin1');
      script(socket, bytes.toString('latin1'), connection);
    });
  });
  pod.listen(0, '127.0.0.1');
  await once(pod, 'listening');
  const route = exampleRoute({ upstream: { host: '127.0.0.1', port: portOf(pod) } });
  const find = (host: string) => (host === 'a.test' ? route : undefined);
  const context = httpContext(deadlines, find);
  edge = net.createServer({ allowHalfOpen: true }, (socket) => {
    const peer = examplePeer({ address: '1.2.3.4' });
    deadlines.add(new Http1Connection(socket, context, peer));
  });
  edge.listen(0, '127.0.0.1');
  await once(edge, 'listening');
});

afterEach(() => {
  deadlines.stop();
  pod.close();
  edge.close();
});

class Client {
  received = '';
  ended = false;
  readonly socket: net.Socket;

  constructor() {
    this.socket = net.connect({ port: portOf(edge), host: '127.0.0.1', allowHalfOpen: true });
    this.socket.on('data', (bytes: Buffer) => (this.received += bytes.toString('latin1')));
    this.socket.on('error', () => undefined);
    this.socket.on('end', () => (this.ended = true));
    this.socket.on('close', () => (this.ended = true));
  }

  async until(pattern: RegExp): Promise<string> {
    await eventually(
      () => pattern.test(this.received),
      () => `${pattern} in ${this.received}`,
    );
    return this.received;
  }
}

async function eventually(condition: () => boolean, explain: () => string): Promise<void> {
  for (let turn = 0; turn < 400; turn += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`waited in vain: ${explain()}`);
}

const get = (path: string, ...fields: string[]): string =>
  `GET ${path} HTTP/1.1\r\nHost: a.test\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
const ok = (body: string): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const pathOf = (received: string): string => received.split(' ')[1] ?? '';

test('requests of one client share one connection to the pod and are answered in order', async () => {
  script = (socket, received) => socket.write(ok(pathOf(received)));
  const client = new Client();
  client.socket.write(get('/one') + get('/two') + get('/three'));
  const received = await client.until(/\/three$/);
  expect(received.match(/\/(one|two|three)$/gm)).toHaveLength(1);
  expect(received.indexOf('/one')).toBeLessThan(received.indexOf('/two'));
  expect(podConnections).toBe(1);
});

test('the pod learns who asked, and only from us', async () => {
  script = (socket) => socket.write(ok(''));
  new Client().socket.write(get('/', 'X-Forwarded-For: 6.6.6.6', 'Connection: X-Forwarded-For'));
  await eventually(
    () => podReceived.endsWith('\r\n\r\n'),
    () => podReceived,
  );
  expect(podReceived).toContain('X-Forwarded-For: 1.2.3.4\r\n');
  expect(podReceived).toContain('X-Forwarded-Proto: https\r\n');
  expect(podReceived).not.toContain('6.6.6.6');
});

test('a chunked upload arrives as it was sent', async () => {
  script = (socket, received) => void (received.endsWith('0\r\n\r\n') && socket.write(ok('done')));
  const client = new Client();
  client.socket.write('POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n');
  client.socket.write('abc\r\n0\r\n\r\n');
  await client.until(/done$/);
  expect(podReceived).toMatch(/3\r\nabc\r\n0\r\n\r\n$/);
});

test('interim answers come before the final one', async () => {
  script = (socket) => socket.write(`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok('late')}`);
  const client = new Client();
  client.socket.write(get('/'));
  expect(await client.until(/late$/)).toMatch(
    /^HTTP\/1\.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP\/1\.1 200/,
  );
});

test('an answer without a length ends with the connection', async () => {
  script = (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nall there is');
  const client = new Client();
  client.socket.write(get('/'));
  expect(await client.until(/all there is$/)).toContain('Connection: close');
  await eventually(
    () => client.ended,
    () => 'the end',
  );
});

test('a pipelined upload whose client ended in its middle is cut, not waited for', async () => {
  let cut = false;
  script = (socket, received) => {
    socket.on('close', () => (cut = true));
    if (received.startsWith('GET')) socket.write(ok('first'));
  };
  const client = new Client();
  client.socket.end(`${get('/')}POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nabc`);
  await eventually(
    () => client.ended && cut,
    () => 'the end',
  );
});

test('after a 101 bytes pass both ways, and an end is passed on', async () => {
  script = (socket, received) => {
    if (!received.startsWith('GET')) socket.write(`echo ${received}`);
    else
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      );
  };
  const client = new Client();
  client.socket.write(get('/', 'Connection: Upgrade', 'Upgrade: websocket'));
  await client.until(/101 Switching/);
  client.socket.write('hello');
  await client.until(/echo hello$/);
  client.socket.end();
  await eventually(
    () => client.ended,
    () => 'the end',
  );
});

test.each([
  ['a 101 that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n'],
  ['an answer that is no HTTP', 'SSH-2.0-OpenSSH_9\r\n\r\n'],
  ['two framings', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
])('%s becomes a 502', async (_name, answer) => {
  script = (socket) => socket.write(answer);
  const client = new Client();
  client.socket.write(get('/'));
  await client.until(/^HTTP\/1\.1 502 .*EDGE_UPSTREAM_FAILED/s);
});

test('a connection that closed while idle costs a GET nothing', async () => {
  script = (socket, received, connection) => {
    if (connection % 2 === 1 && received.includes('/first')) socket.write(ok('first'));
    else if (connection % 2 === 1) socket.destroy();
    else socket.write(ok('second try'));
  };
  const client = new Client();
  client.socket.write(get('/first'));
  await client.until(/first$/);
  client.socket.write(get('/again'));
  await client.until(/second try$/);
  expect(podConnections).toBe(2);
});

test('bytes after a complete answer never reach the next request', async () => {
  script = (socket, received) =>
    socket.write(`${ok(pathOf(received))}HTTP/1.1 200 OK\r\nX: poison\r\n\r\n`);
  const client = new Client();
  client.socket.write(get('/one'));
  await client.until(/\/one$/);
  client.socket.write(get('/two'));
  await client.until(/\/two$/);
  expect(client.received).not.toContain('poison');
  expect(podConnections).toBe(2);
});

test('an answer before the end of the upload is passed on, then the connection ends', async () => {
  script = (socket) => socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n');
  const client = new Client();
  client.socket.write('POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\nabc');
  await client.until(/^HTTP\/1\.1 413 .*Connection: close/s);
  await eventually(
    () => client.ended,
    () => 'the end',
  );
});

test('a refused request reaches no pod', async () => {
  script = (socket) => socket.write(ok('smuggled'));
  const client = new Client();
  const body = 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
  client.socket.write(`POST / HTTP/1.1\r\nHost: a.test\r\n${body}${get('/smuggled')}`);
  await client.until(/^HTTP\/1\.1 400 .*EDGE_BAD_REQUEST/s);
  expect(podReceived).toBe('');
});

test('a pod that does not answer is given up with a 504', async () => {
  script = () => undefined;
  const client = new Client();
  client.socket.write(get('/'));
  await eventually(
    () => podReceived !== '',
    () => 'the request',
  );
  await clock.advance(limits.responseHeadMs + 1_000);
  await client.until(/^HTTP\/1\.1 504 .*EDGE_UPSTREAM_TIMEOUT/s);
});

test('a head that never ends is given up with a 408, however its bytes trickle', async () => {
  script = () => undefined;
  const client = new Client();
  client.socket.write('GET / HT');
  await new Promise((resolve) => setTimeout(resolve, 30));
  await clock.advance(limits.headMs / 2);
  client.socket.write('TP/1.1\r\n');
  await new Promise((resolve) => setTimeout(resolve, 30));
  await clock.advance(limits.headMs / 2 + 1_000);
  await client.until(/^HTTP\/1\.1 408 .*EDGE_CLIENT_TIMEOUT/s);
});

test('a host of another pod on this connection is misdirected', async () => {
  script = (socket) => socket.write(ok('wrong'));
  const client = new Client();
  client.socket.write('GET / HTTP/1.1\r\nHost: b.test\r\n\r\n');
  await client.until(/^HTTP\/1\.1 421 .*EDGE_MISDIRECTED/s);
});
