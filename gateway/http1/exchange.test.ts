import { once } from 'node:events';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { Deadlines } from '../deadlines.ts';
import { limits } from '../limits.ts';
import { Http1Connection } from './connection.ts';
import { examplePeer, exampleRoute, httpContext, portOf } from '../../test/gateway-examples.ts';

/** What the pod does with everything one connection has sent so far. */
type Script = (socket: net.Socket, received: string, connection: number) => void;

let clock: ManualClock;
let deadlines: Deadlines;
let script: Script;
let pod: net.Server;
let edge: net.Server;
let podSaw: string[];
let sockets: net.Socket[];

beforeEach(async () => {
  clock = new ManualClock();
  deadlines = new Deadlines(clock);
  podSaw = [];
  sockets = [];
  pod = net.createServer({ allowHalfOpen: true }, (socket) => {
    const connection = podSaw.push('') - 1;
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      podSaw[connection] += bytes.toString('latin1');
      script(socket, podSaw[connection] ?? '', connection);
    });
  });
  await once(pod.listen(0, '127.0.0.1'), 'listening');
  const route = exampleRoute({ upstream: { host: '127.0.0.1', port: portOf(pod) } });
  const find = (host: string) => (host === 'a.test' ? route : undefined);
  const context = httpContext(deadlines, find);
  const peer = examplePeer({ address: '1.2.3.4' });
  edge = net.createServer({ allowHalfOpen: true }, (socket) => {
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

function connect(sent: string): Client {
  const socket = net.connect({ port: portOf(edge), host: '127.0.0.1', allowHalfOpen: true });
  const client: Client = { socket, received: '', ended: false };
  sockets.push(socket);
  socket.on('data', (bytes: Buffer) => {
    client.received += bytes.toString('latin1');
  });
  socket.on('error', () => undefined);
  for (const event of ['end', 'close']) {
    socket.on(event, () => {
      client.ended = true;
    });
  }
  socket.write(sent, 'latin1');
  return client;
}

const until = (condition: () => unknown): Promise<void> =>
  expect.poll(() => Boolean(condition()), { timeout: 5_000, interval: 2 }).toBe(true);

const request = (start: string, ...rest: string[]): string =>
  [`${start} HTTP/1.1`, 'Host: a.test', ...rest, '', ''].join('\r\n');
const ok = (body: string): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const whole = (received: string): boolean => received.endsWith('\r\n\r\n');

describe('answers without a body', () => {
  test.each([
    ['HEAD /', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n'],
    ['HEAD /', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['GET /', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['GET /', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n'],
  ])('%s, %j: the connections serve the next request', async (start, answer) => {
    script = (socket, received) => socket.write(received.includes('/next') ? ok('next') : answer);
    const client = connect(request(start));
    await until(() => client.received === answer);
    client.socket.write(request('GET /next'));
    await until(() => client.received === answer + ok('next'));
    expect(podSaw).toHaveLength(1);
  });
});

test('a chunked answer arrives as it was sent, byte by byte, and the connection serves on', async () => {
  const answer =
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n';
  script = (socket, received) => {
    if (!whole(received)) return;
    socket.setNoDelay(true);
    let at = 0;
    const step = (): void => {
      if (at < answer.length) socket.write(answer.charAt(at++), () => setImmediate(step));
    };
    step();
  };
  const client = connect(request('GET /'));
  await until(() => client.received === answer);
  client.socket.write(request('GET /'));
  await until(() => client.received === answer + answer);
  expect(podSaw).toHaveLength(1);
});

test('who expects 100-continue gets it from the pod, then sends the body', async () => {
  script = (socket, received) => {
    if (whole(received)) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    else if (received.endsWith('abc')) socket.write(ok('thanks'));
  };
  const client = connect(request('PUT /', 'Content-Length: 3', 'Expect: 100-continue'));
  await until(() => client.received === 'HTTP/1.1 100 Continue\r\n\r\n');
  client.socket.write('abc');
  await until(() => client.received.endsWith('thanks'));
});

test('who expects 100-continue gets it from nobody but the pod', async () => {
  script = () => undefined;
  const client = connect(request('PUT /', 'Content-Length: 3', 'Expect: 100-continue'));
  await until(() => podSaw[0]?.includes('\r\nExpect: 100-continue\r\n'));
  await clock.advance(limits.bodyIdleMs / 2);
  expect(client.received).toBe('');
});

test('a pod may decline instead of 100-continue: then no connection goes on', async () => {
  script = (socket, received) => {
    const status = received.includes('/next') ? '200 OK' : '401 No';
    if (whole(received)) socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`);
  };
  const client = connect(request('PUT /', 'Content-Length: 3', 'Expect: 100-continue'));
  await until(() => client.ended);
  expect(client.received).toBe('HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  const next = connect(request('GET /next'));
  await until(() => next.received.includes(' 200 OK'));
  expect(podSaw).toHaveLength(2);
});

test('pipelined requests are answered in order, whatever their framing and however slow the first', async () => {
  let first: net.Socket | undefined;
  script = (socket, received) => {
    const target = /.*(\/\S*) HTTP/s.exec(received)?.[1] ?? '';
    if (target === '/slow') first = socket;
    else if (/(\r\n\r\n|abc)$/.test(received)) socket.write(ok(target));
  };
  const client = connect(
    request('GET /slow') +
      `${request('POST /length', 'Content-Length: 3')}abc` +
      `${request('POST /chunks', 'Transfer-Encoding: chunked')}3\r\nabc\r\n0\r\n\r\n` +
      request('GET /last'),
  );
  await until(() => first);
  await clock.advance(5_000);
  expect(podSaw).toHaveLength(1);
  expect(podSaw[0]).not.toContain('/length');
  first?.write(ok('/slow'));
  await until(() => client.received.endsWith('/last'));
  expect(client.received).toBe(ok('/slow') + ok('/length') + ok('/chunks') + ok('/last'));
});

test('a client that ends its side after the request still gets the answer', async () => {
  script = (socket, received) => whole(received) && setTimeout(() => socket.write(ok('late')), 30);
  const client = connect(request('GET /'));
  client.socket.end();
  await until(() => client.ended);
  expect(client.received).toMatch(/late$/);
});

test('a client that ends in the middle of its body ends the connection to the pod', async () => {
  let ended = false;
  script = (socket) =>
    socket.on('end', () => {
      ended = true;
    });
  const client = connect(`${request('POST /', 'Content-Length: 10')}abc`);
  await until(() => podSaw[0]?.endsWith('abc'));
  client.socket.end();
  await until(() => ended);
});

const closing: Script = (socket, received, connection) => {
  if (connection === 0 && received.includes('/next')) socket.destroy();
  else if (whole(received) || received.endsWith('x')) socket.write(ok(`by ${connection}`));
};

describe('a kept connection that the pod closes under the next request', () => {
  test.each(['GET', 'DELETE'])('costs %s nothing', async (method) => {
    script = closing;
    const client = connect(request('GET /'));
    await until(() => client.received.endsWith('by 0'));
    client.socket.write(request(`${method} /next`));
    await until(() => client.received.endsWith('by 1'));
  });

  test.each([
    ['half a head', 'HTTP/1.1 20'],
    ['an interim answer', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
  ])('costs GET a 502 when %s has come: the pod has got it', async (_name, answer) => {
    script = (socket, received, connection) => {
      if (connection === 0 && received.includes('/next')) socket.end(answer);
      else if (whole(received)) socket.write(ok(`by ${connection}`));
    };
    const client = connect(request('GET /'));
    await until(() => client.received.endsWith('by 0'));
    client.socket.write(request('GET /next'));
    await until(() => /HTTP\/1\.1 502 |by 1$/.test(client.received));
    expect(client.received).toContain('HTTP/1.1 502 ');
    expect(podSaw).toHaveLength(1);
  });

  test.each([
    ['POST without a body', request('POST /next')],
    ['POST', `${request('POST /next', 'Content-Length: 1')}x`],
    ['PUT with a body', `${request('PUT /next', 'Content-Length: 1')}x`],
  ])('costs %s a 502: it is never sent twice', async (_name, next) => {
    script = closing;
    const client = connect(request('GET /'));
    await until(() => client.received.endsWith('by 0'));
    client.socket.write(next);
    await until(() => client.received.includes('HTTP/1.1 502 '));
    expect(podSaw).toHaveLength(1);
  });
});

test.each([
  ['NTLM TlRMTVNTUAAB', 2],
  ['Negotiate YII=', 2],
  ['Basic eDp5', 1],
])(
  'after %s the next request makes it %i connections to the pod',
  async (credentials, connections) => {
    script = (socket, received) => whole(received) && socket.write(ok('x'));
    const client = connect(request('GET /', `Authorization: ${credentials}`));
    await until(() => client.received === ok('x'));
    expect(podSaw[0]).toContain(credentials);
    client.socket.write(request('GET /'));
    await until(() => client.received === ok('x').repeat(2));
    expect(podSaw).toHaveLength(connections);
  },
);

test('a fresh connection that closes without a whole answer is a 502, not a second try', async () => {
  script = (socket) => socket.destroy();
  const client = connect(request('GET /'));
  await until(() => client.received.startsWith('HTTP/1.1 502 '));
  expect(client.received).toMatch(/EDGE_UPSTREAM_FAILED|without a whole answer/);
  expect(podSaw).toHaveLength(1);
});

test('a pod that listens no more is a 502', async () => {
  pod.close();
  await once(pod, 'close');
  const client = connect(request('GET /'));
  await until(() => client.received.includes('EDGE_UPSTREAM_REFUSED'));
});

test.each([
  ['a head that ends early', 'HTTP/1.1 200 OK\r\nContent-Le'],
  [
    'a head with malformed chunks',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n\r\n',
  ],
  ['a head without end', `HTTP/1.1 200 OK\r\nA: ${'b'.repeat(limits.headBytesMax)}`],
  [
    'too many interim answers',
    'HTTP/1.1 102 Processing\r\n\r\n'.repeat(limits.informationalMax + 1),
  ],
])('%s is a 502', async (_name, answer) => {
  script = (socket) => socket.end(answer);
  const client = connect(request('GET /'));
  await until(() => /HTTP\/1\.1 502 /.test(client.received));
});

test.each([
  ['length', 'Content-Length: 10\r\n\r\nabc'],
  ['chunks', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'],
])('a body of %s that is cut off is cut off for the client', async (_name, answer) => {
  script = (socket) => socket.end(`HTTP/1.1 200 OK\r\n${answer}`);
  const client = connect(request('GET /'));
  await until(() => client.ended);
  expect(client.received).not.toMatch(/0\r\n\r\n$|Connection: close/);
});

test('chunks that turn malformed cut the client off', async () => {
  let sender: net.Socket | undefined;
  script = (socket) => {
    sender = socket;
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
  };
  const client = connect(request('GET /'));
  await until(() => client.received.endsWith('abc\r\n'));
  sender?.write('zz\r\n\r\n');
  await until(() => client.ended);
  expect(client.received).toMatch(/abc\r\n$/);
});

describe('what is no clean request never reaches the pod behind another', () => {
  const hidden = request('GET /hidden');
  test.each([
    [
      'both framings',
      request('POST /', 'Content-Length: 5', 'Transfer-Encoding: chunked') + '0\r\n\r\n' + hidden,
    ],
    ['two lengths', request('POST /', 'Content-Length: 0', 'Content-Length: 30') + hidden],
    ['a folded coding', request('POST /', 'Transfer-Encoding:', ' chunked') + '0\r\n\r\n' + hidden],
    [
      'an encoding with a space',
      request('POST /', 'Transfer-Encoding : chunked') + '0\r\n\r\n' + hidden,
    ],
    ['another host', request('GET http://b.test/') + hidden],
  ])('%s', async (_name, sent) => {
    script = (socket) => socket.write(ok('reached'));
    const client = connect(sent);
    await until(() => client.ended);
    expect(client.received).toMatch(/^HTTP\/1\.1 [45]\d\d /);
    expect(podSaw).toEqual([]);
  });

  test.each([
    ['an extension', '3;a=b\r\nabc\r\n0\r\n\r\n'],
    ['a bare LF', '3\nabc\r\n0\r\n\r\n'],
    ['bytes behind a chunk', '3\r\nabcd\r\n0\r\n\r\n'],
  ])('a chunked body with %s', async (_name, body) => {
    script = () => undefined;
    const client = connect(request('POST /', 'Transfer-Encoding: chunked') + body + hidden);
    await until(() => client.ended);
    expect(client.received).toMatch(/^HTTP\/1\.1 400 /);
    expect(podSaw.join('')).not.toContain('/hidden');
  });
});

test('HTTP/1.0 is asked and answered in HTTP/1.0 terms', async () => {
  script = (socket, received) => whole(received) && socket.end('HTTP/1.0 200 OK\r\n\r\nold');
  const client = connect('GET / HTTP/1.0\r\nHost: a.test\r\n\r\n');
  await until(() => client.ended);
  expect(client.received).toBe('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nold');
  expect(podSaw[0]).toMatch(/^GET \/ HTTP\/1\.0\r\n/);
});

test('chunks to an HTTP/1.0 client are a 502: it would take them for content', async () => {
  script = (socket) =>
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
  const client = connect('GET / HTTP/1.0\r\nHost: a.test\r\n\r\n');
  await until(() => client.ended);
  expect(client.received).toMatch(/^HTTP\/1\.1 502 /);
});

test.each(['Upgrade: h2c\r\n', ''])('a 101 to a WebSocket with "%s" is a 502', async (line) => {
  script = (socket) => socket.write(`HTTP/1.1 101 Switching Protocols\r\n${line}\r\nhello`);
  const client = connect(request('GET /', 'Connection: Upgrade', 'Upgrade: websocket'));
  await until(() => client.received !== '');
  expect(client.received).toMatch(/^HTTP\/1\.1 502 /);
  expect(client.received).not.toContain('hello');
});

test('bytes sent along with an upgrade and with its answer pass the tunnel', async () => {
  const answer =
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
  script = (socket, received) => {
    if (whole(received)) socket.write(`${answer}hello `);
    else if (received.endsWith('\r\n\r\nping')) socket.write('pong');
  };
  const client = connect(`${request('GET /', 'Connection: Upgrade', 'Upgrade: websocket')}ping`);
  await until(() => client.received.endsWith('\r\n\r\nhello pong'));
  expect(podSaw[0]).toContain('Connection: Upgrade\r\nUpgrade: websocket\r\n');
});

test('an idle connection and an idle upload end without a word', async () => {
  script = () => undefined;
  const idle = connect('');
  const upload = connect(`${request('POST /', 'Content-Length: 10')}abc`);
  await until(() => podSaw[0]?.endsWith('abc'));
  await clock.advance(Math.max(limits.keepAliveMs, limits.bodyIdleMs) + 1_000);
  await until(() => idle.ended && upload.ended);
  expect(idle.received + upload.received).toBe('');
});
