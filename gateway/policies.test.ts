import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { Edge } from '../test/edge.ts';

/** Routes' policies and errors in the client's protocol, over TLS in HTTP/1.1 and HTTP/2. */

let edge: Edge;
beforeEach(async () => {
  edge = await Edge.start();
});
afterEach(() => edge.close());

const host = 'a.pods.example.test';

async function request1(text: string): Promise<string> {
  const socket = await edge.secure();
  socket.write(text);
  let received = '';
  for await (const bytes of socket) received += String(bytes);
  return received;
}

async function request2(headers: http2.OutgoingHttpHeaders, pod = 'a') {
  const socket = await edge.secure(pod, { ALPNProtocols: ['h2'] });
  const client = http2.connect(`https://${host}`, { createConnection: () => socket });
  const stream = client.request({ ':path': '/', ':authority': host, ...headers });
  const [answered, flags] = (await once(stream, 'response')) as [
    http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader,
    number,
  ];
  let body = '';
  for await (const bytes of stream) body += String(bytes);
  client.close();
  return { headers: answered, body, ended: (flags & 1) === 1 };
}

const cors = {
  origins: ['https://app.test'],
  methods: ['PUT'],
  headers: [],
  credentials: false,
  maxAgeSeconds: 5,
};

describe('CORS', () => {
  const asks = {
    ':method': 'OPTIONS',
    origin: 'https://app.test',
    'access-control-request-method': 'PUT',
  };

  test('a preflight does not reach the pod, the request does', async () => {
    const seen: (string | undefined)[] = [];
    const pod = http.createServer((request, response) => {
      seen.push(request.method);
      response.setHeader('Access-Control-Allow-Origin', '*');
      response.end('ok');
    });
    await edge.serve(pod, { policy: { cors } });
    const preflight = await request2(asks);
    expect(preflight.headers).toMatchObject({
      ':status': 204,
      'access-control-allow-origin': 'https://app.test',
      'access-control-allow-methods': 'PUT',
    });
    expect(preflight.headers['content-length']).toBeUndefined();
    const first = await request1(
      `OPTIONS / HTTP/1.1\r\nHost: ${host}\r\nOrigin: https://app.test\r\nConnection: close\r\n` +
        'Access-Control-Request-Method: PUT\r\n\r\n',
    );
    expect(first).toMatch(/^HTTP\/1\.1 204 No Content\r\n[^]*\r\n\r\n$/);
    expect(seen).toEqual([]);

    const answer = await request2({ ':method': 'PUT', origin: 'https://app.test' });
    expect(answer.headers['access-control-allow-origin']).toBe('https://app.test');
    const other = await request1(
      `GET / HTTP/1.1\r\nHost: ${host}\r\nOrigin: https://evil.test\r\nConnection: close\r\n\r\n`,
    );
    expect(other).not.toMatch(/access-control/i);
    expect(seen).toEqual(['PUT', 'GET']);
  });

  test('OPTIONS that is no preflight reaches the pod', async () => {
    const pod = http.createServer((_request, response) => response.end('the pod'));
    await edge.serve(pod, { policy: { cors } });
    expect((await request2({ ':method': 'OPTIONS' })).body).toBe('the pod');
  });
});

// The pairs of the Gateway API's conformance test (GEP-3567); more of them stand in routing.test.ts.
describe('authority and server name', () => {
  const domain = 'pods.example.test';

  beforeEach(async () => {
    await edge.serve(http.createServer((_request, response) => response.end('a')));
    await edge.serve(
      http.createServer((_request, response) => response.end('second')),
      {
        host: `a-second.${domain}`,
        network: 'second',
      },
    );
    await edge.serve(
      http.createServer((_request, response) => response.end('b')),
      { pod: 'b' },
    );
  });

  test.each([
    { what: 'the same host', sni: 'a', host: 'a', status: 200, body: 'a' },
    { what: 'the other host, by its own name', sni: 'b', host: 'b', status: 200, body: 'b' },
    { what: 'another host', sni: 'a', host: 'b', status: 421, body: 'EDGE_MISDIRECTED' },
    { what: 'a name of the same pod', sni: 'a', host: 'a-second', status: 200, body: 'second' },
    { what: 'a host nobody has', sni: 'a', host: 'nobody', status: 421, body: 'EDGE_MISDIRECTED' },
  ])('$what, in HTTP/1.1 and HTTP/2', async ({ sni, host: name, status, body }) => {
    const authority = `${name}.${domain}`;
    const first = await edge.secure(sni);
    first.write(`GET / HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`);
    let received = '';
    for await (const bytes of first) received += String(bytes);
    expect(received).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(received).toContain(body);
    const second = await request2({ ':authority': authority }, sni);
    expect([second.headers[':status'], second.body]).toEqual([
      status,
      expect.stringContaining(body),
    ]);
  });
});

describe('who is not allowed', () => {
  test('is told so, in both protocols', async () => {
    await edge.serve(http.createServer(), { policy: { allow: ['198.51.100.0/24'] } });
    expect((await request2({})).headers[':status']).toBe(403);
    expect(await request1(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 403 Forbidden\r\n[^]*EDGE_NOT_ALLOWED/,
    );
  });
});

describe('gRPC', () => {
  test.each([
    ['starting', '14', 'EDGE_POD_STARTING: Soon%E2%80%A6'],
    ['stopped', '14', 'EDGE_POD_STOPPED: Soon%E2%80%A6'],
  ] as const)('a pod that is %s: trailers alone', async (state, status, message) => {
    edge.route({ state, upstream: null, message: 'Soon…' });
    const answer = await request2({ ':method': 'POST', 'content-type': 'application/grpc' });
    expect(answer.headers).toMatchObject({
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': status,
      'grpc-message': message,
    });
    expect([answer.body, answer.ended]).toEqual(['', true]);
  });
});

async function dial(origin?: string): Promise<WebSocket> {
  const socket = await edge.secure();
  return new WebSocket(`ws://${host}/`, {
    createConnection: () => socket,
    ...(origin === undefined ? {} : { origin }),
  });
}

describe('WebSockets', () => {
  test('a browser’s is closed with the reason', async () => {
    edge.route({ state: 'starting', upstream: null, message: 'The pod starts.' });
    const [code, reason] = (await once(await dial('https://app.test'), 'close')) as [
      number,
      Buffer,
    ];
    expect([code, reason.toString()]).toEqual([1013, 'The pod starts.']);
  });

  test('a key of white space costs no time', async () => {
    edge.route({ state: 'starting', upstream: null, message: 'The pod starts.' });
    const gap = '\t'.repeat(14_000);
    const before = process.cpuUsage();
    const answer = await request1(
      `GET / HTTP/1.1\r\nHost: ${host}\r\nOrigin: https://app.test\r\nUpgrade: websocket\r\n` +
        `Connection: Upgrade\r\nSec-WebSocket-Key: x${gap}x${gap}x\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 101 /);
    // By a pattern that goes back and forth it took 480 ms.
    expect(process.cpuUsage(before).user).toBeLessThan(200_000);
  });

  test('a program’s gets the status', async () => {
    edge.route({ state: 'starting', upstream: null, message: 'The pod starts.' });
    const socket = await dial();
    socket.on('error', () => undefined);
    const [, response] = (await once(socket, 'unexpected-response')) as [
      unknown,
      http.IncomingMessage,
    ];
    expect(response.statusCode).toBe(503);
    socket.terminate();
  });

  test('a browser’s over HTTP/2 too', async () => {
    edge.route({ upstream: null, message: 'Off.' });
    const socket = await edge.secure('a', { ALPNProtocols: ['h2'] });
    const client = http2.connect(`https://${host}`, { createConnection: () => socket });
    await once(client, 'remoteSettings');
    const stream = client.request(
      { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', origin: 'https://app.test' },
      { endStream: false },
    );
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpStatusHeader];
    expect(headers[':status']).toBe(200);
    const [frame] = (await once(stream, 'data')) as [Buffer];
    expect([frame.readUInt16BE(2), frame.toString('utf8', 4)]).toEqual([1013, 'Off.']);
    client.destroy();
  });
});

const asked = (path: string): Promise<string> =>
  request1(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

describe('what the operator has set', () => {
  test('HSTS is on every answer over TLS, a pod’s own stands', async () => {
    await edge.close();
    edge = await Edge.start({ hstsSeconds: 300 });
    const pod = http.createServer((request, response) => {
      if (request.url === '/own') response.setHeader('Strict-Transport-Security', 'max-age=1');
      response.end('ok');
    });
    await edge.serve(pod);
    expect(await asked('/')).toMatch(/\r\nStrict-Transport-Security: max-age=300\r\n/);
    expect((await asked('/own')).match(/strict-transport-security/gi)).toHaveLength(1);
    expect((await request2({})).headers['strict-transport-security']).toBe('max-age=300');
    edge.route({ upstream: null });
    expect(await asked('/')).toMatch(/^HTTP\/1\.1 503 [^]*max-age=300/);
    expect((await request2({})).headers['strict-transport-security']).toBe('max-age=300');
  });

  test('Forwarded goes along with X-Forwarded-*, and strangers say neither', async () => {
    await edge.close();
    edge = await Edge.start({ forwardedHeader: true });
    const pod = http.createServer((request, response) =>
      response.end(JSON.stringify(request.headers)),
    );
    await edge.serve(pod);
    const { body } = await request2({
      forwarded: 'for=evil',
      'x-forwarded-for': '192.0.2.1',
      'x-real-ip': '192.0.2.1',
      x_forwarded_for: '192.0.2.1',
    });
    expect(JSON.parse(body)).toMatchObject({
      forwarded: `for=127.0.0.1;host="${host}";proto=https`,
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': host,
      'x-forwarded-port': '443',
    });
    expect(body).not.toMatch(/192\.0\.2\.1|evil/);
  });

  test('a trusted proxy is believed, and Connection cannot take away what we set', async () => {
    await edge.close();
    edge = await Edge.start({ trustedProxies: ['127.0.0.0/8'] });
    const pod = http.createServer((request, response) =>
      response.end(JSON.stringify(request.headers)),
    );
    await edge.serve(pod);
    const answer = await request1(
      `GET / HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n` +
        'Connection: close, x-forwarded-for, x-forwarded-proto, x-request-id\r\n\r\n',
    );
    expect(JSON.parse(answer.slice(answer.indexOf('{')))).toMatchObject({
      'x-forwarded-for': '192.0.2.1, 127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-request-id': expect.stringMatching(/./),
    });
  });
});
