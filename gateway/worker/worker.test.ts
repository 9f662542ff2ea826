import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Address, Route } from '#contracts/route.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { limits } from '../limits.ts';
import type { Listeners } from '../listeners.ts';
import { bindListeners } from '../listeners.ts';
import type { FromWorker } from '../messages.ts';
import { errorResponse } from '../tcp/postgres.ts';
import type { Identity } from '../tls.ts';
import { Worker } from './worker.ts';
import { servingTerms } from '../../test/gateway-examples.ts';

/** A worker in this process, on real sockets, with time in our hands. */

const pods = 'pods.example.test';
const folder = mkdtempSync(join(tmpdir(), 'podgate-worker-'));
const sslRequest = Buffer.from('0000000804d2162f', 'hex');
const gssRequest = Buffer.from('0000000804d21630', 'hex');
const startup = Buffer.from('000000090003000000', 'hex');
const unrecognizedName = '15030300020270';

let identity: Identity;
let clock: ManualClock;
let listeners: Listeners;
let worker: Worker;
let port: number;
let sent: FromWorker[];
let drained: Promise<void>;
let answering: (host: string) => Identity | 'later' | undefined;
const open = new Set<net.Socket>();
const upstreams: net.Server[] = [];

beforeAll(() => {
  const argv =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem ' +
    `-days 2 -subj /CN=t -addext subjectAltName=DNS:*.${pods}`;
  execFileSync('openssl', argv.split(' '), { cwd: folder, stdio: 'pipe' });
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  identity = { chain: read('c.pem'), key: read('k.pem') };
});
afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(async () => {
  clock = new ManualClock();
  listeners = await bindListeners([0, 0], 1, systemClock);
  port = listeners.ports[0] ?? 0;
  const [https, http] = listeners.handles[0] ?? [];
  if (!https || !http) throw new Error('no sockets');
  sent = [];
  answering = () => identity;
  const end = Promise.withResolvers<void>();
  drained = end.promise;
  worker = new Worker(
    {
      number: 0,
      ...servingTerms,
      ticketMaster: Buffer.alloc(32, 7),
    },
    {
      clock,
      random: systemRandom,
      lines: { write: (_lines, done) => done() },
      process: { pid: 1, hostname: 'test' },
      descriptors: { https: https.fd, http: http.fd },
      send: (message) => {
        sent.push(message);
        if (message.kind !== 'certificate-wanted') return;
        const answer = answering(message.host);
        if (answer === 'later') return;
        worker.handle({ kind: 'certificate', host: message.host, identity: answer });
      },
      drained: () => end.resolve(),
    },
  );
  worker.handle({ kind: 'wildcard', domain: 'example.test', identity });
});

afterEach(async () => {
  // TLS before what lies under it: the other order crashes Node 26 on the client's side.
  for (const socket of [...open].toReversed()) socket.destroy();
  open.clear();
  worker.handle({ kind: 'drain' });
  await clock.advance(limits.drainMs);
  await drained;
  for (const server of upstreams.splice(0)) server.close();
  for (const handle of listeners.handles.flat()) handle.close();
});

function serve(...routes: Route[]): void {
  worker.handle({ kind: 'routes', puts: routes, drops: [], step: 1 });
  worker.handle({ kind: 'serve' });
}

function route(name: string, protocol: Route['protocol'], upstream: Address | null): Route {
  return {
    host: `${name}.${pods}`,
    tenant: 'default',
    pod: name,
    network: 'default',
    protocol,
    state: upstream ? 'ready' : 'stopped',
    message: upstream ? '' : 'It is off: start it.',
    upstream,
  };
}

async function upstreamThat(accept: (socket: net.Socket) => void): Promise<Address> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    accept(socket);
  });
  server.listen(0, '127.0.0.1');
  upstreams.push(server);
  await once(server, 'listening');
  const address = server.address();
  return { host: '127.0.0.1', port: typeof address === 'object' ? (address?.port ?? 0) : 0 };
}

const echo = (): Promise<Address> => upstreamThat((socket) => socket.pipe(socket));

async function dial(): Promise<net.Socket> {
  const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  open.add(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

// Known to tls.connect, which hands it to its socket, but not to its declaration.
const halfOpen: object = { allowHalfOpen: true };

/** TLS to a name; the promise rejects with what the gateway has to say. */
async function secure(
  name: string,
  options: tls.ConnectionOptions = {},
  over?: net.Socket,
): Promise<tls.TLSSocket> {
  const socket = tls.connect({
    ...(over ? { socket: over } : { host: '127.0.0.1', port }),
    servername: `${name}.${pods}`,
    ca: identity.chain,
    ...halfOpen,
    ...options,
  });
  open.add(socket);
  await once(socket, 'secureConnect');
  socket.on('error', () => undefined);
  return socket;
}

/** Everything until the other side ends. */
async function rest(socket: net.Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  await new Promise((resolve) => socket.once('end', resolve).once('close', resolve));
  return Buffer.concat(parts);
}

async function next(socket: net.Socket): Promise<Buffer> {
  const [bytes]: Buffer[] = await once(socket, 'data');
  return bytes ?? Buffer.alloc(0);
}

async function eventually(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 500; turn += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('waited in vain');
}

describe('what is no TLS', () => {
  test('plain HTTP is told to use https', async () => {
    serve();
    const socket = await dial();
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const answer = (await rest(socket)).toString();
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('use https');
  });

  test.each([['noise', Buffer.from('\u0001\u0002\u0003')]])(
    '%s is closed without a word',
    async (_name, bytes) => {
      serve();
      const socket = await dial();
      socket.write(bytes);
      expect(await rest(socket)).toHaveLength(0);
    },
  );

  test.each([
    ['a broken hello', '160301000402000000'],
    ['TLS of another version', '160201'],
  ])('%s gets the alert decode_error', async (_name, bytes) => {
    serve();
    const socket = await dial();
    socket.write(Buffer.from(bytes, 'hex'));
    expect((await rest(socket)).toString('hex')).toBe('15030300020232');
  });

  test('a startup message in the clear is refused as Postgres does', async () => {
    serve();
    const socket = await dial();
    socket.write(startup);
    expect((await rest(socket)).toString()).toMatch(/^E.{4}SFATAL\0VFATAL\0C08004\0M/s);
  });
});

describe('time', () => {
  test.each([
    ['nothing', Buffer.alloc(0), limits.firstByteMs],
    ['half a hello', Buffer.from('1603010200', 'hex'), limits.clientHelloMs],
    ['half an SSLRequest', sslRequest.subarray(0, 4), limits.clientHelloMs],
  ])('a client that sends %s is closed', async (_name, bytes, waitMs) => {
    serve();
    const socket = await dial();
    let closed = false;
    const ended = rest(socket).then(() => (closed = true));
    socket.write(bytes);
    // A connection made later is served later: then the worker has seen the first one.
    await secure('nobody');
    await clock.advance(waitMs - 1_000);
    await secure('nobody');
    expect(closed).toBe(false);
    await clock.advance(2_000);
    await ended;
  });

  test('a handshake that is left in the middle holds nothing', async () => {
    serve();
    const socket = await dial();
    const hello = await helloOf(`a.${pods}`);
    socket.write(hello);
    await next(socket);
    socket.end();
    expect(await rest(socket)).toBeInstanceOf(Buffer);
  });

  test('a handshake that stands still is closed', async () => {
    serve();
    const socket = await dial();
    socket.write(await helloOf(`a.${pods}`));
    await next(socket);
    const ended = rest(socket);
    await clock.advance(limits.handshakeMs + 1_000);
    await ended;
  });
});

describe('names', () => {
  test.each<[string, string]>([
    ['outside the domain', 'other.test'],
    ['of the domain, not of a pod', 'x.example.test'],
    ['that only ends alike', `evil${pods}`],
    ['below one that the wildcard covers', `a.b.${pods}`],
  ])('a name %s gets the alert unrecognized_name', async (_name, servername) => {
    serve();
    const socket = await dial();
    socket.write(await helloOf(servername));
    expect((await rest(socket)).toString('hex')).toBe(unrecognizedName);
  });

  test('no name gets the alert missing_extension', async () => {
    serve();
    const socket = await dial();
    socket.write(await helloOf(undefined));
    expect((await rest(socket)).toString('hex')).toBe('1503030002026d');
  });

  test('a hello of single bytes is one', async () => {
    serve(route('tcp', 'tcp', await echo()));
    const socket = await dial();
    socket.setNoDelay(true);
    const client = await secure('tcp', {}, await slowly(socket));
    client.write('ping');
    expect((await next(client)).toString()).toBe('ping');
  });
});

describe('Postgres', () => {
  test('GSSENCRequest is answered N, SSLRequest S, then TLS leads to the pod', async () => {
    serve(route('db', 'postgres', await echo()));
    const socket = await dial();
    socket.write(gssRequest);
    expect((await next(socket)).toString()).toBe('N');
    socket.write(sslRequest);
    expect((await next(socket)).toString()).toBe('S');
    const client = await secure('db', { ALPNProtocols: ['postgresql'] }, socket);
    expect(client.alpnProtocol).toBe('postgresql');
    client.write('startup');
    expect((await next(client)).toString()).toBe('startup');
  });

  test('bytes sent behind SSLRequest before its answer are refused', async () => {
    serve(route('db', 'postgres', await echo()));
    const socket = await dial();
    socket.write(Buffer.concat([sslRequest, startup]));
    expect(await rest(socket)).toHaveLength(0);
  });

  test('after S nothing but TLS is listened to', async () => {
    serve(route('db', 'postgres', await echo()));
    const socket = await dial();
    socket.write(sslRequest);
    await next(socket);
    socket.write(startup);
    expect(await rest(socket)).toHaveLength(0);
  });

  test('TLS without SSLRequest works as well', async () => {
    serve(route('db', 'postgres', await echo()));
    const client = await secure('db', { ALPNProtocols: ['postgresql'] });
    expect(client.alpnProtocol).toBe('postgresql');
    client.write('startup');
    expect((await next(client)).toString()).toBe('startup');
  });

  test('a client that offers other ALPN names is not turned away for them', async () => {
    serve(route('db', 'postgres', await echo()));
    const client = await secure('db', { ALPNProtocols: ['postgres-old'] });
    expect(client.alpnProtocol).toBe(false);
  });

  test.each<[string, string, string, string]>([
    ['a stopped database', 'off', '57P03', 'It is off: start it.'],
    ['a stopped pod that speaks http', 'site-off', '57P03', 'It is off: start it.'],
    ['a pod that speaks http', 'site', '08004', `site.${pods} is no database, it speaks http`],
    ['no pod', 'nobody', '08004', `there is no pod at nobody.${pods}`],
    ['a dead port', 'dead', '08006', 'the database of pod dead does not accept connections'],
  ])('%s says so in an ErrorResponse', async (_name, host, sqlState, message) => {
    serve(
      route('off', 'postgres', null),
      route('site-off', 'http', null),
      route('site', 'http', await echo()),
      route('dead', 'postgres', { host: '127.0.0.1', port: 1 }),
    );
    const socket = await dial();
    socket.write(sslRequest);
    await next(socket);
    const client = await secure(host, { ALPNProtocols: ['postgresql'] }, socket);
    client.write(startup);
    expect((await rest(client)).equals(errorResponse(sqlState, message))).toBe(true);
  });

  test('who is to be refused and never asks is closed', async () => {
    serve(route('off', 'postgres', null));
    const client = await secure('off');
    const ended = rest(client);
    await clock.advance(limits.firstByteMs + 1_000);
    expect(await ended).toHaveLength(0);
  });
});

describe('tcp', () => {
  test('ALPN is left unanswered, whatever the client offers', async () => {
    serve(route('tcp', 'tcp', await echo()));
    const client = await secure('tcp', { ALPNProtocols: ['mqtt', 'h2'] });
    expect(client.alpnProtocol).toBe(false);
  });

  test('a pod that is not ready is closed', async () => {
    serve(route('off', 'tcp', null));
    const client = await secure('off');
    client.write('\0');
    expect(await rest(client)).toHaveLength(0);
  });

  test('a pod that speaks first is heard', async () => {
    serve(route('tcp', 'tcp', await upstreamThat((socket) => socket.write('welcome'))));
    expect((await next(await secure('tcp'))).toString()).toBe('welcome');
  });

  test('the end of one side leaves the other open: an answer to the end arrives', async () => {
    const late = await upstreamThat((socket) => {
      let size = 0;
      socket.on('data', (bytes) => (size += bytes.length));
      socket.on('end', () => socket.end(`got ${size}`));
    });
    serve(route('tcp', 'tcp', late));
    const client = await secure('tcp');
    client.end('question');
    expect((await rest(client)).toString()).toBe('got 8');
  });

  test('8 MiB come back as they went', async () => {
    serve(route('tcp', 'tcp', await echo()));
    const client = await secure('tcp');
    const bytes = systemRandom.bytes(8 * 1024 * 1024);
    client.end(bytes);
    expect((await rest(client)).equals(bytes)).toBe(true);
  });

  test('a client that does not read stops the pod from sending', async () => {
    let written = 0;
    const flood = await upstreamThat((socket) => {
      const part = Buffer.alloc(64 * 1024);
      const pour = (): void => {
        while (!socket.destroyed && socket.write(part)) written += part.length;
      };
      socket.on('drain', pour);
      pour();
    });
    serve(route('tcp', 'tcp', flood));
    const client = await secure('tcp');
    client.pause();
    let [before, still] = [-1, 0];
    await eventually(() => {
      still = written > 0 && written === before ? still + 1 : 0;
      before = written;
      return still === 40;
    });
    // What fits into the buffers of the kernel and of the two sockets.
    expect(written).toBeLessThan(64 * 1024 * 1024);
  });

  test.each(['destroy', 'resetAndDestroy'] as const)(
    'a client that goes (%s) frees its pod',
    async (how) => {
      let pod: net.Socket | undefined;
      serve(route('tcp', 'tcp', await upstreamThat((socket) => (pod = socket).resume())));
      const raw = await dial();
      const client = await secure('tcp', {}, raw);
      client.write('x');
      await eventually(() => pod !== undefined);
      const gone = new Promise((resolve) => pod?.once('end', resolve).once('close', resolve));
      raw[how]();
      await gone;
    },
  );

  test('a pod that goes frees its client', async () => {
    serve(route('tcp', 'tcp', await upstreamThat((socket) => socket.resetAndDestroy())));
    const client = await secure('tcp');
    client.write('x');
    await rest(client);
  });
});

const negotiated = async (...ALPNProtocols: string[]): Promise<string | false | null> =>
  (await secure('site', { ALPNProtocols })).alpnProtocol;

describe('http', () => {
  test('HTTP/2 is preferred, HTTP/1.1 spoken, and nothing else', async () => {
    serve(route('site', 'http', null));
    expect(await negotiated('http/1.1', 'h2')).toBe('h2');
    expect(await negotiated('http/1.1')).toBe('http/1.1');
    await expect(negotiated('h3')).rejects.toThrow(/no application protocol/);
  });

  test('a request in HTTP/2 over TLS, and GOAWAY when the worker drains', async () => {
    serve(route('site', 'http', null));
    const socket = await secure('site', { ALPNProtocols: ['h2'] });
    const client = http2.connect(`https://site.${pods}`, { createConnection: () => socket });
    const stream = client.request({ ':path': '/' });
    const [headers]: http2.IncomingHttpHeaders[] = await once(stream, 'response');
    expect(headers?.[':status']).toBe(503);
    stream.resume();
    await once(stream, 'end');
    const goaway = once(client, 'goaway');
    worker.handle({ kind: 'drain' });
    await goaway;
  });

  test('before the first table a pod is starting, the domain is served, others are unknown', async () => {
    worker.handle({ kind: 'serve' });
    const client = await secure('site');
    client.write(`GET / HTTP/1.1\r\nHost: site.${pods}\r\nConnection: close\r\n\r\n`);
    const answer = (await rest(client)).toString();
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer).toMatch(/\r\nRetry-After: 2\r\n/);
  });
});

const wanted = (): string[] =>
  sent.flatMap((message) => (message.kind === 'certificate-wanted' ? message.host : []));

describe('certificates', () => {
  test('handshakes of a cold host at once ask once, later ones not at all', async () => {
    answering = () => 'later';
    serve(route('a', 'tcp', await echo()));
    const several = Promise.all(Array.from({ length: 5 }, () => secure('a')));
    await eventually(() => wanted().length > 0);
    // All five wait: a host without a route is served with the wildcard meanwhile.
    await secure('nobody');
    worker.handle({ kind: 'certificate', host: `a.${pods}`, identity });
    await several;
    await secure('a');
    expect(wanted()).toEqual([`a.${pods}`]);
  });

  test('after its patience the wildcard answers, and a late answer counts for the next', async () => {
    answering = () => 'later';
    serve(route('a', 'tcp', await echo()));
    const first = secure('a');
    await eventually(() => wanted().length === 1);
    await clock.advance(limits.certificateWaitMs);
    await first;
    worker.handle({ kind: 'certificate', host: `a.${pods}`, identity });
    await secure('a');
    expect(wanted()).toHaveLength(1);
  });

  test('a change is asked for anew', async () => {
    serve(route('a', 'tcp', await echo()));
    await secure('a');
    worker.handle({ kind: 'certificates-changed', hosts: [`a.${pods}`] });
    await secure('a');
    expect(wanted()).toHaveLength(2);
  });

  test('a flood of cold hosts builds no more than the bound; the rest get the wildcard', async () => {
    const most = limits.contextBuildsPerSecondMax;
    const upstream = await echo();
    const routes = Array.from({ length: most + 5 }, (_, at) => route(`n${at}`, 'tcp', upstream));
    serve(...routes);
    for (const { pod } of routes) (await secure(pod)).destroy();
    expect(wanted()).toHaveLength(most);
    await clock.advance(1_000);
    await secure(`n${most + 1}`);
    expect(wanted()).toHaveLength(most + 1);
  }, 30_000);

  test('one that OpenSSL does not take is reported and replaced by the wildcard', async () => {
    answering = () => ({ chain: identity.chain, key: 'no key' });
    serve(route('a', 'tcp', await echo()));
    await secure('a');
    expect(sent).toContainEqual(
      expect.objectContaining({ kind: 'certificate-unusable', host: `a.${pods}` }),
    );
    expect(JSON.stringify(sent)).not.toContain('no key');
    const damaged = { chain: 'none', key: 'none' };
    worker.handle({ kind: 'wildcard', domain: 'example.test', identity: damaged });
    await secure('a');
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '%s: a session is resumed at its host alone',
    async (version) => {
      const upstream = await echo();
      serve(route('a', 'tcp', upstream), route('b', 'tcp', upstream));
      const terms = { minVersion: version, maxVersion: version };
      const first = await secure('a', terms);
      let session: Buffer | undefined = first.getSession();
      first.on('session', (newer: Buffer) => (session = newer));
      first.write('x'); // a ticket of TLS 1.3 comes after the handshake
      await next(first);
      const at = async (name: string): Promise<boolean> =>
        (await secure(name, { ...terms, ...(session ? { session } : {}) })).isSessionReused();
      expect(await at('a')).toBe(true);
      expect(await at('b')).toBe(false);
    },
  );
});

describe('draining', () => {
  test('a request that was on its way is answered, then its connection ends', async () => {
    serve(route('site', 'http', null));
    const client = await secure('site');
    const ended = rest(client);
    worker.handle({ kind: 'drain' });
    client.write(`GET / HTTP/1.1\r\nHost: site.${pods}\r\n\r\n`);
    expect((await ended).toString()).toMatch(/^HTTP\/1\.1 503 [^]*\r\nConnection: close\r\n/);
  });

  test('idle connections end soon, others at the deadline', async () => {
    serve(route('site', 'http', null), route('tcp', 'tcp', await echo()));
    const idle = await secure('site');
    const idleEnded = rest(idle);
    const tunnel = await secure('tcp');
    tunnel.write('x');
    await next(tunnel);
    let over = false;
    void drained.then(() => (over = true));
    worker.handle({ kind: 'drain' });
    await clock.advance(limits.drainLingerMs + 500);
    await idleEnded;
    tunnel.write('y');
    expect((await next(tunnel)).toString()).toBe('y');
    expect(over).toBe(false);
    await clock.advance(limits.drainMs - limits.drainLingerMs - 500);
    await drained;
  });

  test('with nobody there it is over at once', async () => {
    serve();
    worker.handle({ kind: 'drain' });
    await drained;
  });
});

/** The first flight of a real client. */
async function helloOf(servername: string | undefined): Promise<Buffer> {
  const taken = Promise.withResolvers<Buffer>();
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (bytes: Buffer) => {
      taken.resolve(bytes);
      socket.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const where = { host: '127.0.0.1', port: typeof address === 'object' ? (address?.port ?? 0) : 0 };
  const client = tls.connect({ ...where, ...(servername === undefined ? {} : { servername }) });
  client.on('error', () => undefined);
  const bytes = await taken.promise;
  server.close();
  return bytes;
}

/** A way to the gateway on which the client's bytes go out one by one. */
async function slowly(to: net.Socket): Promise<net.Socket> {
  const server = net.createServer((from) => {
    open.add(from);
    from.on('error', () => undefined);
    to.pipe(from);
    from.on('data', (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; at += 1) to.write(bytes.subarray(at, at + 1));
    });
  });
  server.listen(0, '127.0.0.1');
  upstreams.push(server);
  await once(server, 'listening');
  const address = server.address();
  const socket = net.connect(typeof address === 'object' ? (address?.port ?? 0) : 0, '127.0.0.1');
  open.add(socket);
  return socket;
}
