import { once } from 'node:events';
import net from 'node:net';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { Deadlines } from '../deadlines.ts';
import { limits } from '../limits.ts';
import { Http1Connection } from './connection.ts';
import { examplePeer, exampleRoute, httpContext, portOf } from '../../test/gateway-examples.ts';

/** Clients and pods that are slow, silent, early or in pieces. */

type Script = (socket: net.Socket, received: string) => void;

const host = 'a.test';
const KiB = 1024;
const MiB = 1024 * KiB;
// What a connection may hold: one write to the client beyond its bound, one read behind it.
const heldBytesMax = 300 * KiB;

let clock: ManualClock;
let deadlines: Deadlines;
let script: Script;
let pod: net.Server;
let edge: net.Server;
let podSaw: string[];
let edgeSockets: net.Socket[];
let sockets: net.Socket[];

beforeEach(async () => {
  clock = new ManualClock();
  deadlines = new Deadlines(clock);
  podSaw = [];
  edgeSockets = [];
  sockets = [];
  pod = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const connection = podSaw.push('') - 1;
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      podSaw[connection] += bytes.toString('latin1');
      script(socket, podSaw[connection] ?? '');
    });
  });
  await once(pod.listen(0, '127.0.0.1'), 'listening');
  const route = exampleRoute({ host, upstream: { host: '127.0.0.1', port: portOf(pod) } });
  const find = (name: string) => (name === host ? route : undefined);
  const context = httpContext(deadlines, find);
  edge = net.createServer({ allowHalfOpen: true }, (socket) => {
    edgeSockets.push(socket);
    const peer = examplePeer({ sni: host, address: '::1' });
    deadlines.add(new Http1Connection(socket, context, peer));
  });
  await once(edge.listen(0, '127.0.0.1'), 'listening');
});

afterEach(() => {
  deadlines.stop();
  for (const socket of sockets) socket.destroy();
  pod.close();
  edge.close();
});

interface Client {
  readonly socket: net.Socket;
  received: string;
  ended: boolean;
}

function connect(): Client {
  const socket = net.connect({
    port: portOf(edge),
    host: '127.0.0.1',
    allowHalfOpen: true,
    noDelay: true,
  });
  const client: Client = { socket, received: '', ended: false };
  sockets.push(socket);
  socket.on('error', () => undefined);
  socket.on('close', () => {
    client.ended = true;
  });
  return client;
}

function read(client: Client): void {
  client.socket.on('data', (bytes: Buffer) => {
    client.received += bytes.toString('latin1');
  });
  client.socket.on('end', () => {
    client.ended = true;
  });
}

const until = (condition: () => unknown): Promise<void> =>
  expect.poll(() => Boolean(condition()), { timeout: 5_000, interval: 2 }).toBe(true);

/** Resolves when the value has not changed for a while: whoever moved it has come to rest. */
async function atRest(value: () => number): Promise<number> {
  let last = -1;
  let since = 0;
  while (since < 15) {
    since = value() === last ? since + 1 : 0;
    last = value();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return last;
}

const request = (start: string, ...fields: string[]): string =>
  [`${start} HTTP/1.1`, `Host: ${host}`, ...fields, '', ''].join('\r\n');
const ok = (body: string): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

async function inPieces(socket: net.Socket, text: string, cuts: readonly number[]): Promise<void> {
  let from = 0;
  for (const to of [...cuts.map((cut) => cut % text.length).toSorted((a, b) => a - b), undefined]) {
    const piece = text.slice(from, to);
    if (piece !== '') await new Promise((resolve) => socket.write(piece, 'latin1', resolve));
    await new Promise(setImmediate);
    from = to ?? text.length;
  }
}

const requestsSeen = (): number => podSaw.join('').split('GET ').length - 1;

describe('a client that asks and never reads', () => {
  test('is asked for no more than it takes: its requests wait, not their answers', async () => {
    const answer = ok('x'.repeat(40 * KiB));
    let answered = 0;
    script = (socket) => {
      while (answered < requestsSeen()) {
        answered += 1;
        socket.write(answer);
      }
    };
    const client = connect();
    client.socket.write(request('GET /').repeat(500));
    expect(await atRest(requestsSeen)).toBeLessThan(400);
    expect(edgeSockets[0]?.writableLength).toBeLessThan(heldBytesMax);
    read(client);
    await until(() => client.received.length === 500 * answer.length);
  });

  test('gets pages only as fast as it takes them', async () => {
    const client = connect();
    const misdirected = 'GET / HTTP/1.1\r\nHost: b.test\r\n\r\n';
    client.socket.write(misdirected.repeat(20_000));
    await atRest(() => edgeSockets[0]?.bytesRead ?? 0);
    expect(edgeSockets[0]?.writableLength).toBeLessThan(heldBytesMax);
    read(client);
    client.socket.end();
    await until(() => client.ended);
    expect(client.received.match(/^HTTP\/1\.1 421 /gm)).toHaveLength(20_000);
  });

  test.each([
    ['a length', `Content-Length: ${1024 * MiB}`],
    ['no length', 'Connection: close'],
  ])('holds little of a long answer with %s, and is cut off in the end', async (_name, field) => {
    const piece = Buffer.alloc(MiB);
    let written = 0;
    script = (socket) => {
      const more = (): void => {
        do written += piece.length;
        while (written < 1024 * MiB && socket.write(piece));
      };
      socket.on('drain', more);
      socket.write(`HTTP/1.1 200 OK\r\n${field}\r\n\r\n`);
      more();
    };
    const client = connect();
    client.socket.write(request('GET /'));
    expect(await atRest(() => written)).toBeLessThan(64 * MiB);
    expect(edgeSockets[0]?.writableLength).toBeLessThan(heldBytesMax);
    await clock.advance(limits.bodyIdleMs + 1_000);
    await until(() => edgeSockets[0]?.destroyed);
  });
});

test('a pod that does not read an upload stops its client', async () => {
  pod.on('connection', (socket: net.Socket) => socket.pause());
  script = () => undefined;
  const client = connect();
  client.socket.write(request('POST /', `Content-Length: ${256 * MiB}`));
  client.socket.write(Buffer.alloc(128 * MiB));
  expect(await atRest(() => edgeSockets[0]?.bytesRead ?? 0)).toBeLessThan(64 * MiB);
});

test('a long answer reaches a client that begins to read late', async () => {
  const body = 'x'.repeat(8 * MiB);
  script = (socket) => socket.end(ok(body));
  const client = connect();
  client.socket.write(request('GET /', 'Connection: close'));
  await atRest(() => edgeSockets[0]?.writableLength ?? 0);
  read(client);
  await until(() => client.ended);
  expect(client.received.length).toBeGreaterThan(body.length);
});

/* oxlint-disable no-underscore-dangle -- where a stream's sink can be held, by its documentation */
/** The kernel takes nothing more of this socket until the returned function is called. */
function clog(socket: net.Socket): () => void {
  const write = socket._write.bind(socket);
  let go: (() => void) | undefined;
  socket._write = (bytes, encoding, done) => {
    go = () => write(bytes, encoding, done);
  };
  return () => {
    socket._write = write;
    go?.();
  };
}
/* oxlint-enable no-underscore-dangle */

test('a last answer that a slow client still reads is not cut when the pod is done', async () => {
  script = (socket) => socket.end(ok('x'.repeat(10 * KiB)));
  const client = connect();
  read(client);
  await until(() => edgeSockets[0]);
  const unclog = clog(edgeSockets[0] ?? client.socket);
  client.socket.write(request('GET /', 'Connection: close'));
  await until(() => edgeSockets[0]?.writableEnded);
  await clock.advance(limits.drainMs + 1_000);
  unclog();
  await until(() => client.ended);
  expect(client.received).toMatch(/x{10240}$/);
});

test('a client that has its last answer and stays is left soon', async () => {
  script = (socket) => socket.write(ok('x'));
  const client = connect();
  read(client);
  client.socket.write(request('GET /', 'Connection: close'));
  await until(() => client.ended);
  expect(edgeSockets[0]?.destroyed).toBe(false);
  await clock.advance(limits.drainMs + 1_000);
  expect(edgeSockets[0]?.destroyed).toBe(true);
});

test('who ends its side after several requests gets all answers', async () => {
  script = (socket, received) => received.endsWith('\r\n\r\n') && socket.write(ok('x'));
  const client = connect();
  read(client);
  client.socket.end(request('GET /').repeat(5));
  await until(() => client.ended);
  expect(client.received).toBe(ok('x').repeat(5));
});

test('what an early answer promised is kept when the upload ends before it', async () => {
  let left = false;
  script = (socket, received) => {
    socket.on('end', () => {
      left = true;
    });
    if (received.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n');
    else if (received.endsWith('ab')) socket.write('done');
  };
  const client = connect();
  read(client);
  client.socket.write(request('POST /', 'Content-Length: 2'));
  await until(() => client.received.endsWith('Connection: close\r\n\r\n'));
  client.socket.write('ab');
  await until(() => client.ended);
  expect(client.received).toMatch(/done$/);
  await until(() => left);
});

test('an answer that ends by a reset does not look whole', async () => {
  script = (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\nhalf', () => socket.resetAndDestroy());
  const client = connect();
  read(client);
  client.socket.write(request('GET /'));
  await until(() => client.ended);
  expect(edgeSockets[0]?.writableEnded).toBe(false);
});

test('a refusal is no answer to the request before it', async () => {
  script = (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
  const client = connect();
  read(client);
  client.socket.write(`${request('HEAD /')}GET nonsense\r\n\r\n`);
  await until(() => client.ended);
  expect(client.received).toMatch(/"code":"EDGE_BAD_REQUEST"/);
});

describe('however the bytes are cut into segments', () => {
  const exchanges: readonly (readonly [string, string])[] = [
    [`\r\n\r\n${request('GET /a')}`, ok('one')],
    [
      `${request('POST /b', 'Content-Length: 5')}12345`,
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\nX: y\r\n\r\n',
    ],
    [
      `${request('POST /c', 'Transfer-Encoding: chunked')}4\r\nabcd\r\n0\r\nX: y\r\n\r\n\r\n`,
      `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok('three')}`,
    ],
    [request('HEAD /d'), 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n'],
  ];
  const asked = exchanges.map(([sent]) => sent).join('');
  const answers = exchanges.map(([, answer]) => answer).join('');
  // As the pod must see them, without the fields that we add.
  const bodies = /12345.*4\r\nabcd\r\n0\r\nX: y\r\n\r\nHEAD/s;

  /** Answers each request when it is there as a whole, in pieces of its own. */
  function answerInPieces(cuts: readonly number[]): Script {
    const ends = [/\/a HTTP[^]*?\r\n\r\n/, /12345/, /X: y\r\n\r\n/, /\/d HTTP[^]*?\r\n\r\n/];
    let answered = 0;
    return (socket) => {
      const end = ends[answered];
      if (!end?.test(podSaw.join(''))) return;
      const [, answer = ''] = exchanges[answered] ?? [];
      answered += 1;
      void inPieces(socket, answer, cuts);
    };
  }

  test('requests and answers arrive the same', async () => {
    const cuts = fc.array(fc.nat(1_000), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(cuts, cuts, async (clientCuts, podCuts) => {
        podSaw.length = 0;
        script = answerInPieces(podCuts);
        const client = connect();
        read(client);
        await inPieces(client.socket, asked, clientCuts);
        await until(() => client.received.length >= answers.length);
        expect(client.received).toBe(answers);
        expect(podSaw.join('')).toMatch(bodies);
        client.socket.destroy();
      }),
      { numRuns: 60 },
    );
  });

  test('a hidden request stays hidden', async () => {
    const hidden = `${request('POST /', 'Transfer-Encoding: chunked')}1\r\naX\r\n0\r\n\r\n${request('GET /hidden')}`;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(1_000), { maxLength: 12 }), async (cuts) => {
        podSaw.length = 0;
        script = () => undefined;
        const client = connect();
        read(client);
        await inPieces(client.socket, hidden, cuts);
        await until(() => client.ended);
        expect(client.received).toMatch(/^HTTP\/1\.1 400 [^]*EDGE_BAD_REQUEST/);
        expect(podSaw.join('')).not.toContain('/hidden');
      }),
      { numRuns: 40 },
    );
  });
});
