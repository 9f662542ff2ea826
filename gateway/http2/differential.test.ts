import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import type { Route } from '#contracts/route.ts';
import { examplePeer, exampleRoute, httpContext, listening } from '../../test/gateway-examples.ts';
import { Deadlines } from '../deadlines.ts';
import { Http2Connection } from './connection.ts';

/** Against the client of node:http2, which is nghttp2: what it says arrives, and what the pod says does. */

let deadlines: Deadlines;
const edgePorts = new Map<string, number>();
const servers: net.Server[] = [];
const routes = new Map<string, Route>();

beforeAll(async () => {
  deadlines = new Deadlines(systemClock);
  const context = httpContext(deadlines, (host) => routes.get(host));
  const http1 = http.createServer((request, response) => {
    response.writeHead(200, { ...told(request.rawHeaders), 'x-answer': 'a'.repeat(40) });
    request.pipe(response);
  });
  const h2c = http2.createServer();
  h2c.on('stream', (stream: http2.ServerHttp2Stream, _headers, _flags, raw) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200, ...told(raw) });
    stream.pipe(stream);
  });
  for (const [host, server, policy] of [
    ['a.test', http1, {}],
    ['h2c.test', h2c, { policy: { h2c: true } }],
  ] as const) {
    const edge = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      void new Http2Connection(socket, context, examplePeer({ sni: host }));
    });
    edgePorts.set(host, await listening(edge));
    servers.push(edge, server);
    const upstream = { host: '127.0.0.1', port: await listening(server) };
    routes.set(host, exampleRoute({ host, upstream, ...policy }));
  }
});
afterAll(() => {
  deadlines.stop();
  for (const server of servers) server.close();
});

/** The fields that a test made, back in the answer. */
function told(raw: readonly string[] = []): Record<string, string> {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]?.toLowerCase() ?? '';
    if (name.startsWith('x-f') || name === 'cookie')
      pairs.push([`back-${name}`, raw[at + 1] ?? '']);
  }
  return Object.fromEntries(pairs.filter(([name]) => !name.startsWith('back-x-forwarded')));
}

interface Asked {
  readonly values: readonly string[];
  readonly cookies: readonly string[];
  readonly size: number;
  readonly sizeSaid: boolean;
  readonly writes: number;
}

interface Run {
  readonly host: string;
  readonly window: number;
  readonly sessionWindow: number;
  readonly tableSize: number;
  /** Bytes that pass at once between client and gateway. */
  readonly piece: number;
  readonly requests: readonly Asked[];
}

/** A way to the gateway that cuts what passes into pieces. */
async function wayOf({ host, piece }: Run): Promise<{ port: number; close: () => void }> {
  const cutting = (from: net.Socket, to: net.Socket): void => {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    from.on('data', (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; at += piece) to.write(bytes.subarray(at, at + piece));
    });
  };
  const server = net.createServer({ noDelay: true }, (client) => {
    const gateway = net.connect({
      host: '127.0.0.1',
      port: edgePorts.get(host) ?? 0,
      noDelay: true,
    });
    cutting(client, gateway);
    cutting(gateway, client);
  });
  return { port: await listening(server), close: () => server.close() };
}

async function ask(client: http2.ClientHttp2Session, host: string, asked: Asked) {
  const { values, cookies, size, sizeSaid, writes } = asked;
  const headers: http2.OutgoingHttpHeaders = {
    ':method': 'POST',
    ':path': '/any?way',
    ':authority': host,
    ...(sizeSaid ? { 'content-length': String(size) } : {}),
    ...(cookies.length > 0 ? { cookie: [...cookies] } : {}),
  };
  values.forEach((value, at) => (headers[`x-f${at}`] = value));
  const body = Buffer.alloc(size, `${size}-${host}-`);
  const stream = client.request(headers);
  const parts: Buffer[] = [];
  let received: http2.IncomingHttpHeaders = {};
  stream.on('response', (head) => (received = head));
  stream.on('data', (part: Buffer) => parts.push(part));
  const each = Math.ceil(size / writes);
  for (let at = 0; at < size; at += each) stream.write(body.subarray(at, at + each));
  stream.end();
  await once(stream, 'close');
  expect(stream.rstCode).toBe(0);
  expect(received[':status']).toBe(200);
  expect(Buffer.concat(parts).equals(body)).toBe(true);
  values.forEach((value, at) => expect(received[`back-x-f${at}`]).toBe(value));
  if (cookies.length > 0) expect(received['back-cookie']).toBe(cookies.join('; '));
}

const value = fc.stringMatching(/^[!-~]([ -~]{0,60}[!-~])?$/);
const run: fc.Arbitrary<Run> = fc.record({
  host: fc.constantFrom('a.test', 'h2c.test'),
  window: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1_000, max: 1_000_000 })),
  sessionWindow: fc.integer({ min: 65_535, max: 1_000_000 }),
  tableSize: fc.constantFrom(0, 100, 4_096, 65_536),
  piece: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 500, max: 70_000 })),
  requests: fc.array(
    fc.record({
      values: fc.array(value, { maxLength: 5 }),
      cookies: fc.array(fc.stringMatching(/^[a-z]{1,5}=[a-z]{0,30}$/), { maxLength: 3 }),
      size: fc.oneof(fc.nat(100), fc.nat(100_000)),
      sizeSaid: fc.boolean(),
      writes: fc.integer({ min: 1, max: 9 }),
    }),
    { minLength: 1, maxLength: 12 },
  ),
});

test('random requests through random windows and fragments arrive whole, both ways', async () => {
  await fc.assert(
    fc.asyncProperty(run, async (one) => {
      const { host, window, sessionWindow, tableSize, piece, requests } = one;
      const fine = window >= 1_000 && piece >= 500;
      const way = await wayOf(one);
      const client = http2.connect(`http://127.0.0.1:${way.port}`, {
        settings: { initialWindowSize: window, headerTableSize: tableSize },
      });
      client.on('error', () => undefined);
      await once(client, 'connect');
      client.setLocalWindowSize(sessionWindow);
      try {
        // Tiny windows are slow by nature.
        const sized = requests.map((asked) =>
          fine ? asked : { ...asked, size: asked.size % 3_000 },
        );
        await Promise.all(sized.map((asked) => ask(client, host, asked)));
      } finally {
        client.destroy();
        way.close();
      }
    }),
    { numRuns: 60 },
  );
}, 60_000);
