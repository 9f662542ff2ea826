import http2 from 'node:http2';
import net from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { limits } from '../limits.ts';
import { Edge } from '../../test/edge.ts';

/** Clients in HTTP/1.1 of a pod that speaks h2c; those in HTTP/2 stand in http2/connection.test.ts. */

let edge: Edge;
beforeEach(async () => {
  edge = await Edge.start();
});
afterEach(() => edge.close());

const h2c = { policy: { h2c: true } } as const;

async function pod(
  answer: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
): Promise<http2.Http2Server> {
  const server = http2.createServer();
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined);
    answer(stream, headers);
  });
  await edge.serve(server, h2c);
  return server;
}

const get = (path = '/', more = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: a.pods.example.test\r\n${more}\r\n`;

/** Sends and returns everything until the end, or until `enough` was received. */
async function exchange(request: string, enough?: RegExp): Promise<string> {
  const socket = await edge.secure();
  let received = '';
  socket.write(request, 'latin1');
  for await (const bytes of socket) {
    received += String(bytes);
    if (enough?.test(received)) break;
  }
  return received;
}

test('content of unknown length comes in chunks, with its trailers, and the connection goes on', async () => {
  await pod((stream, headers) => {
    stream.respond({ ':status': 200, 'x-path': headers[':path'] }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }));
    stream.end('hello');
  });
  const answers = await exchange(get('/1') + get('/2', 'Connection: close\r\n'));
  const [first = '', second = ''] = answers.split(/(?=HTTP\/1\.1 200)/);
  expect(first).toMatch(/\r\nx-path: \/1\r\n/);
  expect(first).toMatch(/\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n$/);
  expect(second).toMatch(/\r\nx-path: \/2\r\n/);
  expect(second).toMatch(/\r\nConnection: close\r\n/);
});

test('content of known length keeps it', async () => {
  await pod((stream) => {
    stream.respond({ ':status': 200, 'content-length': '5' });
    stream.end('hello');
  });
  const answer = await exchange(get('/', 'Connection: close\r\n'));
  expect(answer).toMatch(/\r\ncontent-length: 5\r\n/);
  expect(answer).toMatch(/\r\n\r\nhello$/);
});

test('HTTP/1.0 gets content until the end of the connection', async () => {
  await pod((stream) => {
    stream.respond({ ':status': 200 });
    stream.end('hello');
  });
  const answer = await exchange('GET / HTTP/1.0\r\nHost: a.pods.example.test\r\n\r\n');
  expect(answer).not.toMatch(/transfer-encoding/i);
  expect(answer).toMatch(/\r\n\r\nhello$/);
});

test('HEAD and 204 have no body', async () => {
  await pod((stream, headers) => {
    stream.respond({ ':status': headers[':method'] === 'HEAD' ? 200 : 204 }, { endStream: true });
  });
  const answers = await exchange(get().replace('GET', 'HEAD') + get('/', 'Connection: close\r\n'));
  expect(answers).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\nHTTP\/1\.1 204 [^]*\r\n\r\n$/);
  expect(answers).not.toMatch(/transfer-encoding/i);
});

test.each([
  ['of known length', 'Content-Length: 11\r\n\r\nhello world'],
  ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n'],
])('a body %s arrives as content', async (_name, rest) => {
  await pod((stream, headers) => {
    stream.respond({ ':status': 200, 'x-length': headers['content-length'] ?? 'unknown' });
    stream.pipe(stream);
  });
  const head = 'POST / HTTP/1.1\r\nHost: a.pods.example.test\r\nConnection: close\r\n';
  const answer = await exchange(head + rest);
  expect(answer).toMatch(/\r\nx-length: (11|unknown)\r\n/);
  expect(answer.replaceAll(/\r\n[0-9a-f]+\r\n/g, '')).toContain('hello world');
});

test('trailers of a request arrive as trailers', async () => {
  await pod((stream) => {
    let sum: unknown;
    stream.on('trailers', (trailers) => (sum = trailers['x-sum']));
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'x-got': String(sum) }, { endStream: true });
    });
    stream.resume();
  });
  const answer = await exchange(
    'POST / HTTP/1.1\r\nHost: a.pods.example.test\r\nConnection: close\r\n' +
      'Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 42\r\n\r\n',
  );
  expect(answer).toMatch(/\r\nx-got: 42\r\n/);
});

test.each<[string, (stream: http2.ServerHttp2Stream) => void]>([
  ['that is reset', (stream) => stream.destroy(new Error('failed'))],
  ['whose connection dies', (stream) => stream.session?.destroy()],
])('an answer %s does not look complete', async (_name, fail) => {
  await pod((stream) => {
    stream.respond({ ':status': 200 });
    stream.write('half');
    setTimeout(() => fail(stream), 20);
  });
  const answer = await exchange(get()).catch(() => 'cut');
  expect(answer).not.toMatch(/\r\n0\r\n\r\n$/);
});

test('a connection that died while idle is not the next request’s problem', async () => {
  const sessions: http2.ServerHttp2Session[] = [];
  const server = await pod((stream) => {
    stream.respond({ ':status': 200, 'content-length': '2' });
    stream.end('ok');
  });
  server.on('session', (session) => sessions.push(session));
  expect(await exchange(get(), /ok$/)).toMatch(/ok$/);
  // Killed without a word at the moment of the next request.
  sessions[0]?.removeAllListeners('stream').on('stream', () => sessions[0]?.destroy());
  expect(await exchange(get(), /ok$|502/)).toMatch(/ok$/);
});

test('a connection that dies behind an interim answer costs a 502: the pod has got the request', async () => {
  let streams = 0;
  let session: http2.Http2Session | undefined;
  await pod((stream) => {
    streams += 1;
    session = stream.session;
    if (streams === 2) {
      stream.additionalHeaders({ ':status': 103, link: 'x' });
      return;
    }
    stream.respond({ ':status': 200, 'content-length': '2' });
    stream.end('ok');
  });
  expect(await exchange(get(), /ok$/)).toMatch(/ok$/);
  const socket = await edge.secure();
  let received = '';
  socket.on('data', (bytes: Buffer) => {
    received += String(bytes);
    if (received.startsWith('HTTP/1.1 103')) session?.destroy();
  });
  socket.write(get());
  await vi.waitFor(() => expect(received).toMatch(/ok$|502/));
  expect(received).toContain('HTTP/1.1 502 ');
  expect(streams).toBe(2);
});

test('interim answers are passed on up to a number, then it is a 502', async () => {
  await pod((stream) => {
    for (let at = 0; at <= limits.informationalMax; at += 1) {
      stream.additionalHeaders({ ':status': 103, link: String(at) });
    }
    stream.respond({ ':status': 200 });
    stream.end('ok');
  });
  const answer = await exchange(get(), /ok|502/);
  expect(answer.match(/HTTP\/1\.1 103/g)).toHaveLength(limits.informationalMax);
  expect(answer).toContain('HTTP/1.1 502 ');
});

test('a pod that does not speak HTTP/2 is a 502', async () => {
  await edge.pod((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), h2c);
  expect(await exchange(get('/', 'Connection: close\r\n'))).toMatch(/^HTTP\/1\.1 502 /);
});

test('a pod that does not answer the connection is a 502 in time', async () => {
  // Its queue of connections is full: nobody accepts, nobody refuses.
  const server = net.createServer({ pauseOnConnect: true }, (socket) => socket.pause());
  await edge.serve(server, h2c);
  const answer = exchange(get('/', 'Connection: close\r\n'));
  for (let waited = 0; waited < limits.responseHeadMs + 5_000; waited += 5_000) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    await edge.clock.advance(5_000);
  }
  expect(await answer).toMatch(/^HTTP\/1\.1 50[24] /);
});

test('a WebSocket to it is refused in words', async () => {
  await pod((stream) => stream.respond({ ':status': 200 }, { endStream: true }));
  const answer = await exchange(
    get(
      '/',
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
    ),
    /\}\n$/,
  );
  expect(answer).toMatch(/^HTTP\/1\.1 501 [^]*gets no WebSocket/);
});
