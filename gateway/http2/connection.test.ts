import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import type { Policy } from '#contracts/policy.ts';
import type { Route } from '#contracts/route.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { Deadlines } from '../deadlines.ts';
import { limits } from '../limits.ts';
import { Http2Connection } from './connection.ts';
import { examplePeer, exampleRoute, httpContext, listening } from '../../test/gateway-examples.ts';

/** HTTP/2 from a real client, over a real socket, to a pod in HTTP/1.1 or h2c. */

let clock: ManualClock;
let deadlines: Deadlines;
let edge: net.Server;
let client: http2.ClientHttp2Session;
let connections: Http2Connection[];
let routes: Map<string, Route>;
let draining = false;
const servers: net.Server[] = [];

beforeEach(async () => {
  clock = new ManualClock();
  deadlines = new Deadlines(clock);
  routes = new Map();
  connections = [];
  draining = false;
  const find = (host: string) => routes.get(host);
  const context = httpContext(deadlines, find, () => draining);
  edge = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    connections.push(new Http2Connection(socket, context, examplePeer()));
  });
  servers.push(edge);
  client = http2.connect(`http://127.0.0.1:${await listening(edge)}`);
  client.on('error', () => undefined);
});

afterEach(() => {
  client.destroy();
  deadlines.stop();
  for (const server of servers.splice(0)) server.close();
});

async function pod(server: net.Server, policy?: Policy): Promise<void> {
  servers.push(server);
  const upstream = { host: '127.0.0.1', port: await listening(server) };
  routes.set('a.test', exampleRoute({ upstream, ...(policy ? { policy } : {}) }));
}

const http1Pod = (answer: http.RequestListener): Promise<void> => pod(http.createServer(answer));

/** A pod that shows the bytes it gets and answers with given ones. */
async function rawPod(answer: string): Promise<{ text: () => string }> {
  let text = '';
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      if (text.includes('\r\n\r\n')) socket.write(answer, 'latin1');
    });
  });
  await pod(server);
  return { text: () => text };
}

type Pairs = readonly string[];

interface Answer {
  readonly status: number;
  readonly headers: http2.IncomingHttpHeaders;
  readonly trailers: http2.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly rstCode: number;
}

const plain: Pairs = [':method', 'GET', ':scheme', 'https', ':authority', 'a.test', ':path', '/'];

function open(pairs: Pairs, options: http2.ClientSessionRequestOptions = {}) {
  const stream = client.request([...pairs], { endStream: true, ...options });
  stream.on('error', () => undefined);
  return stream;
}

/** The whole answer of a stream, also one that is reset. */
async function answerOf(stream: http2.ClientHttp2Stream): Promise<Answer> {
  const parts: Buffer[] = [];
  let headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
  let trailers: http2.IncomingHttpHeaders = {};
  stream.on('response', (received) => (headers = received));
  stream.on('trailers', (received) => (trailers = received));
  stream.on('data', (part: Buffer) => parts.push(part));
  await new Promise((resolve) => stream.once('close', resolve));
  const status = headers[':status'] ?? 0;
  return { status, headers, trailers, body: Buffer.concat(parts), rstCode: stream.rstCode };
}

const get = (pairs: Pairs = plain): Promise<Answer> => answerOf(open(pairs));

describe('a pod in HTTP/1.1', () => {
  test('a request and its answer', async () => {
    await http1Pod((request, response) => {
      response.setHeader('Set-Cookie', ['a=1', 'b=2']);
      response.end(JSON.stringify({ ...request.headers, url: request.url }));
    });
    const { status, headers, body } = await get([...plain, 'cookie', 'x=1', 'cookie', 'y=2']);
    expect(status).toBe(200);
    expect(headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(headers['connection']).toBeUndefined();
    expect(JSON.parse(body.toString())).toMatchObject({
      url: '/',
      host: 'a.test',
      cookie: 'x=1; y=2',
      'x-forwarded-for': '192.0.2.7',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'a.test',
    });
  });

  test('a hundred at once come each with its own answer', async () => {
    await http1Pod((request, response) => response.end(request.url));
    const paths = Array.from({ length: 100 }, (_, index) => `/${index}`);
    const answers = await Promise.all(paths.map((path) => get([...plain.slice(0, -1), path])));
    expect(answers.map(({ body }) => body.toString())).toEqual(paths);
  });

  test.each([
    ['of known length', ['content-length', '3000000']],
    ['of unknown length', []],
  ])('a body %s arrives whole, and so does its answer', async (_name, length) => {
    await http1Pod((request, response) => request.pipe(response));
    const stream = open([':method', 'POST', ...plain.slice(2), ...length], { endStream: false });
    const sent = Buffer.alloc(3_000_000, 'abcdefgh');
    stream.end(sent);
    const { status, body } = await answerOf(stream);
    expect(status).toBe(200);
    expect(body.equals(sent)).toBe(true);
  });

  test('trailers pass both ways', async () => {
    await http1Pod((request, response) => {
      response.setHeader('Trailer', 'x-sum');
      request.resume();
      request.on('end', () => {
        response.write('body');
        response.addTrailers({ 'x-sum': String(request.trailers['x-in']) });
        response.end();
      });
    });
    const stream = open([':method', 'POST', ...plain.slice(2)], {
      endStream: false,
      waitForTrailers: true,
    });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-in': '42' }));
    stream.end('content');
    const { trailers, body } = await answerOf(stream);
    expect(body.toString()).toBe('body');
    expect(trailers['x-sum']).toBe('42');
  });

  test('trailers that name a framing field end the stream', async () => {
    const raw = await rawPod('');
    const stream = open([':method', 'POST', ...plain.slice(2)], {
      endStream: false,
      waitForTrailers: true,
    });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'content-length': '42' }));
    stream.end('content');
    expect((await answerOf(stream)).rstCode).not.toBe(0);
    expect(raw.text()).not.toContain('42');
  });

  test('informational answers are passed on', async () => {
    await rawPod(
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
    );
    const stream = open(plain);
    const hints = once(stream, 'headers');
    const { status } = await answerOf(stream);
    expect((await hints)[0]).toMatchObject({ ':status': 103, link: '</a.css>' });
    expect(status).toBe(204);
  });

  test('HEAD and 304 have a length and no body', async () => {
    await http1Pod((request, response) => {
      response.writeHead(request.url === '/304' ? 304 : 200, { 'Content-Length': 1234 });
      response.end();
    });
    for (const pairs of [
      [':method', 'HEAD', ...plain.slice(2)],
      [...plain.slice(0, -1), '/304'],
    ]) {
      const { headers, body, rstCode } = await get(pairs);
      expect([headers['content-length'], body.length, rstCode]).toEqual(['1234', 0, 0]);
    }
  });

  test('an answer that is cut does not look complete', async () => {
    await pod(
      net.createServer((socket) => {
        socket.once('data', () => {
          socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
        });
      }),
    );
    const { status, body, rstCode } = await get();
    expect([status, body.toString()]).toEqual([200, 'half']);
    expect(rstCode).not.toBe(http2.constants.NGHTTP2_NO_ERROR);
  });

  test('a close-delimited answer ends with the connection', async () => {
    await pod(
      net.createServer((socket) => {
        socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end'));
      }),
    );
    const { body, rstCode } = await get();
    expect([body.toString(), rstCode]).toEqual(['until the end', 0]);
  });

  test('an early answer to an unfinished upload is whole, and the upload is not waited for', async () => {
    await rawPod('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig');
    const stream = open([':method', 'POST', ...plain.slice(2)], { endStream: false });
    stream.write('some');
    const ended = once(stream, 'end');
    const answer = answerOf(stream);
    await ended;
    await clock.advance(limits.drainMs + 1_000);
    const { status, body, rstCode } = await answer;
    expect([status, body.toString(), rstCode]).toEqual([413, 'big', 0]);
  });

  test('who goes on sending behind the answer is asked to stop', async () => {
    await rawPod('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig');
    const stream = open([':method', 'POST', ...plain.slice(2)], { endStream: false });
    let sent = 0;
    const more = (): void => {
      while (stream.writable && stream.write(Buffer.alloc(1 << 16))) sent += 1 << 16;
    };
    stream.on('drain', more);
    more();
    stream.resume();
    await once(stream, 'response');
    const closed = new Promise((resolve) => stream.once('close', resolve));
    for (let waited = 0; waited < limits.drainMs + 1_000; waited += 100) {
      await turn();
      await clock.advance(100);
    }
    await closed;
    // What the windows hold, and what was on its way.
    expect(sent).toBeLessThan(16 << 20);
  });

  test('a head of many frames is put together, and one as large comes back', async () => {
    const server = http.createServer({ maxHeaderSize: 1 << 16 }, (request, response) => {
      response.setHeader('X-Back', String(request.headers['x-large']));
      response.end();
    });
    await pod(server);
    const large = 'a'.repeat(20_000);
    const { status, headers } = await get([...plain, 'x-large', large]);
    expect([status, headers['x-back'] === large]).toEqual([200, true]);
  });

  test('a head that is too large is told so', async () => {
    await http1Pod((_request, response) => response.end());
    const { status } = await get([...plain, 'x-large', 'a'.repeat(limits.headBytesMax)]);
    expect(status).toBe(431);
  });

  test('one pod that takes nothing does not stop the uploads to another', async () => {
    await pod(net.createServer((socket) => socket.pause()));
    const stuck = open([':method', 'POST', ...plain.slice(2)], { endStream: false });
    stuck.write(Buffer.alloc(8 << 20));
    let before = -1;
    while (before !== stuck.writableLength) {
      before = stuck.writableLength;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await http1Pod((request, response) => request.pipe(response));
    const sent = Buffer.alloc(3_000_000, 'x');
    const stream = open([':method', 'POST', ...plain.slice(2)], { endStream: false });
    stream.end(sent);
    const { status, body } = await answerOf(stream);
    expect([status, body.equals(sent)]).toEqual([200, true]);
    stuck.close(http2.constants.NGHTTP2_CANCEL);
  });

  test('who asks often while content comes is no flood', async () => {
    await http1Pod((_request, response) => response.end(Buffer.alloc(4_000_000)));
    const stream = open(plain);
    let pings = 0;
    stream.on('data', () => {
      if (client.ping(() => undefined)) pings += 1;
    });
    const { status, body } = await answerOf(stream);
    expect([status, body.length]).toEqual([200, 4_000_000]);
    expect(pings).toBeGreaterThan(0);
    expect(client.destroyed).toBe(false);
  });

  test('a client that goes takes its request along', async () => {
    const gone = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    await http1Pod((request) => {
      asked.resolve();
      request.on('close', () => gone.resolve());
    });
    const stream = open(plain);
    await asked.promise;
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await gone.promise;
  });

  test('a client that does not read holds little', async () => {
    let written = 0;
    await pod(
      net.createServer((socket) => {
        const block = Buffer.alloc(1 << 16);
        socket.on('error', () => undefined);
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n');
          const more = (): void => {
            while (written < 1 << 30) {
              written += block.length;
              if (!socket.write(block)) break;
            }
          };
          socket.on('drain', more);
          more();
        });
      }),
    );
    const stream = open(plain);
    await once(stream, 'response');
    let before = -1;
    while (before !== written) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(written).toBeLessThan(24 << 20);
    stream.close(http2.constants.NGHTTP2_CANCEL);
  });

  test('a pod that does not take the body stops the client', async () => {
    await pod(net.createServer((socket) => socket.pause()));
    const stream = open([':method', 'POST', ...plain.slice(2)], { endStream: false });
    const block = Buffer.alloc(1 << 20);
    for (let count = 0; count < 64; count += 1) stream.write(block);
    let before = -1;
    const left = (): number => stream.writableLength;
    while (before !== left()) {
      before = left();
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(left()).toBeGreaterThan(40 << 20);
    stream.close(http2.constants.NGHTTP2_CANCEL);
  });
});

describe('what the gateway says itself', () => {
  test.each<[string, number, Pairs]>([
    ['an unknown host', 421, [...plain.slice(0, 5), 'b.test', ':path', '/']],
    ['CONNECT', 405, [':method', 'CONNECT', ':authority', 'a.test:443']],
    ['an authority that is not the Host', 400, [...plain, 'host', 'b.test']],
    ['a path with a fragment', 400, [...plain.slice(0, -1), '/#x']],
    ['TRACE', 405, [':method', 'TRACE', ...plain.slice(2)]],
  ])('%s: %i', async (_name, status, pairs) => {
    const raw = await rawPod('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    const answer = await get(pairs);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ status: 'error' });
    expect(raw.text()).toBe('');
  });

  test.each<[string, Pairs]>([
    ['a path with a space', [...plain.slice(0, -1), '/a b']],
    ['a target that is no path', [...plain.slice(0, -1), 'https://a.test/']],
    ['* without OPTIONS', [...plain.slice(0, -1), '*']],
  ])('%s is a stream error', async (_name, pairs) => {
    const raw = await rawPod('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    const { rstCode } = await get(pairs);
    expect(rstCode).not.toBe(0);
    expect(raw.text()).toBe('');
  });

  test('a browser gets a page', async () => {
    await rawPod('rubbish\r\n\r\n');
    const { status, headers, body } = await get([...plain, 'accept', 'text/html']);
    expect([status, headers['content-type']]).toEqual([502, 'text/html; charset=utf-8']);
    expect(body.toString()).toMatch(/^<!doctype html>/);
  });

  test('a pod that does not answer in time', async () => {
    await rawPod('');
    const answer = get();
    await once(client, 'connect');
    for (let waited = 0; waited <= limits.responseHeadMs; waited += 10_000) {
      await turn();
      await clock.advance(10_000);
    }
    expect((await answer).status).toBe(504);
  });
});

describe('what reaches the pod', () => {
  const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

  test('nothing that a stranger says of the client, under no spelling', async () => {
    const raw = await rawPod(ok);
    await get([...plain, 'x-forwarded-for', '1.1.1.1', 'x_forwarded_for', '2.2.2.2']);
    expect(raw.text()).not.toMatch(/1\.1\.1\.1|2\.2\.2\.2/);
  });

  test('a length that the body does not have never looks complete', async () => {
    const raw = await rawPod('');
    const stream = open([':method', 'POST', ...plain.slice(2), 'content-length', '10'], {
      endStream: false,
    });
    stream.end('too short');
    expect((await answerOf(stream)).rstCode).not.toBe(0);
    expect(raw.text()).not.toContain('HTTP/1.1 200');
  });
});

describe('WebSocket (RFC 8441)', () => {
  const handshake = ':method CONNECT :protocol websocket :scheme https :authority a.test :path /ws';
  const extended: Pairs = [...handshake.split(' '), 'sec-websocket-version', '13'];

  test('opens, echoes, and closes', async () => {
    const server = http.createServer();
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket) =>
      socket.on('message', (data) => socket.send(data, { binary: false })),
    );
    await pod(server);
    await once(client, 'remoteSettings');
    const stream = open([...extended, 'sec-websocket-protocol', 'chat'], { endStream: false });
    const [headers]: [http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader] = (await once(
      stream,
      'response',
    )) as never;
    expect(headers[':status']).toBe(200);
    expect(headers['sec-websocket-accept']).toBeUndefined();
    // A masked text frame `hi` with mask 0, and its echo.
    stream.write(Buffer.from('8182000000006869', 'hex'));
    const [echo]: Buffer[] = (await once(stream, 'data')) as never;
    expect(echo?.toString('hex')).toBe('81026869');
    stream.write(Buffer.from('888000000000', 'hex'));
    const [close]: Buffer[] = (await once(stream, 'data')) as never;
    expect(close?.toString('hex')).toBe('8800');
    sockets.close();
  });

  test('what the pod answers instead is passed on', async () => {
    await rawPod('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    const stream = open(extended, { endStream: false });
    const ended = once(stream, 'end');
    const answer = answerOf(stream);
    await ended;
    await clock.advance(limits.drainMs + 1_000);
    const { status, body } = await answer;
    expect([status, body.toString()]).toEqual([403, 'no']);
  });

  test('a pod that did not understand the handshake gets no tunnel', async () => {
    await rawPod(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Accept: made+up\r\n\r\n',
    );
    const stream = open(extended, { endStream: false });
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpStatusHeader];
    expect(headers[':status']).toBe(502);
  });
});

describe('a pod in h2c', () => {
  const h2c = { h2c: true } as const;

  async function h2cPod(
    answer: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  ): Promise<void> {
    const server = http2.createServer();
    server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
      stream.on('error', () => undefined);
      answer(stream, headers);
    });
    await pod(server, h2c);
  }

  test('a request, its body, its answer and the trailers', async () => {
    await h2cPod((stream, headers) => {
      stream.respond({ ':status': 200, 'x-te': headers['te'] }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.pipe(stream);
    });
    const stream = open([':method', 'POST', ...plain.slice(2)], { endStream: false });
    const sent = Buffer.alloc(2_000_000, 'grpc');
    stream.end(sent);
    const { status, headers, trailers, body } = await answerOf(stream);
    expect([status, headers['x-te'], trailers['grpc-status']]).toEqual([200, 'trailers', '0']);
    expect(body.equals(sent)).toBe(true);
  });

  test('both directions stream at once', async () => {
    await h2cPod((stream) => {
      stream.respond({ ':status': 200 });
      stream.on('data', (bytes: Buffer) => stream.write(bytes));
      stream.on('end', () => stream.end());
    });
    const stream = open([':method', 'POST', ...plain.slice(2)], { endStream: false });
    for (const word of ['one', 'two', 'three']) {
      stream.write(word);
      const [echo]: Buffer[] = (await once(stream, 'data')) as never;
      expect(echo?.toString()).toBe(word);
    }
    stream.end();
    await answerOf(stream);
  });

  test('an answer of trailers alone stays one', async () => {
    await h2cPod((stream) => {
      stream.respond({ ':status': 200, 'grpc-status': '5' }, { endStream: true });
    });
    const stream = open([':method', 'POST', ...plain.slice(2)], { endStream: false });
    const flags = new Promise((resolve) => stream.once('response', (_h, bits) => resolve(bits)));
    stream.end('x');
    const { headers } = await answerOf(stream);
    expect(headers['grpc-status']).toBe('5');
    expect(Number(await flags) & http2.constants.NGHTTP2_FLAG_END_STREAM).toBe(1);
  });

  test('many requests share one connection; none is left when it goes away', async () => {
    let sessions = 0;
    const server = http2.createServer((_request, response) => response.end('ok'));
    server.on('session', () => (sessions += 1));
    await pod(server, h2c);
    const answers = await Promise.all(Array.from({ length: 20 }, () => get()));
    expect(answers.every(({ body }) => body.toString() === 'ok')).toBe(true);
    expect(sessions).toBe(1);
  });

  test('nobody there: 502', async () => {
    await h2cPod(() => undefined);
    const server = servers.at(-1);
    await new Promise((resolve) => server?.close(resolve));
    expect((await get()).status).toBe(502);
  });

  test('a client that cancels cancels at the pod', async () => {
    const cancelled = Promise.withResolvers<number>();
    await h2cPod((stream) => {
      stream.respond({ ':status': 200 });
      stream.write('first');
      stream.on('close', () => cancelled.resolve(stream.rstCode));
    });
    const stream = open(plain);
    await once(stream, 'data');
    stream.close(http2.constants.NGHTTP2_CANCEL);
    expect(await cancelled.promise).toBe(http2.constants.NGHTTP2_CANCEL);
  });
});

describe('the end', () => {
  test('draining says GOAWAY and finishes what is under way', async () => {
    const asked = Promise.withResolvers<http.ServerResponse>();
    await http1Pod((_request, response) => asked.resolve(response));
    const goaway = once(client, 'goaway');
    const stream = open(plain);
    const answered = answerOf(stream);
    const response = await asked.promise;
    draining = true;
    connections[0]?.drain();
    await goaway;
    response.end('done');
    expect((await answered).body.toString()).toBe('done');
    if (!client.closed) await once(client, 'close');
  });

  test('an idle connection is ended in order', async () => {
    await http1Pod((_request, response) => response.end());
    await get();
    const goaway = once(client, 'goaway');
    const closed = once(client, 'close');
    for (let waited = 0; waited <= limits.keepAliveMs + 5_000; waited += 1_000) {
      await clock.advance(1_000);
      await turn();
    }
    await goaway;
    await closed;
  });
});
