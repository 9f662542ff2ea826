import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Policy } from '#contracts/policy.ts';
import type { Address, Route } from '#contracts/route.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { Accepting } from './accept.ts';
import { Proving } from './challenges/proving.ts';
import { Deadlines } from './deadlines.ts';
import type { Peer } from './http1/context.ts';
import { limits } from './limits.ts';
import type { FromWorker } from './messages.ts';
import { silentMeters } from '../test/gateway-examples.ts';
import { RouteTable } from './route-table.ts';
import { Cancels } from './tcp/cancels.ts';
import { errorResponse } from './tcp/postgres.ts';
import { Presented } from './tls.ts';

/** Accepting on real sockets: what a client is told, and which bytes its pod gets to see. */

const pods = 'pods.example.test';
const folder = mkdtempSync(join(tmpdir(), 'podgate-accept-'));
const sslRequest = Buffer.from('0000000804d2162f', 'hex');
const gssRequest = Buffer.from('0000000804d21630', 'hex');
const startup = Buffer.from('000000090003000000', 'hex');
const alert = (description: number): string =>
  `150303000202${description.toString(16).padStart(2, '0')}`;

let ours: { key: string; cert: string };
let theirs: { key: string; cert: string };
let clock: ManualClock;
let deadlines: Deadlines;
let table: RouteTable;
let wildcard: Presented | undefined;
let address: string;
let port: number;
let cancels: Cancels;
let sent: FromWorker[];
let served: { sni: string; address: string; alpn: string | false | null }[];
let pending: Map<string, string>;
const open = new Set<net.Socket>();
const servers: net.Server[] = [];

function certificate(name: string): { key: string; cert: string } {
  const argv =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem ' +
    `-days 2 -subj /CN=t -addext subjectAltName=DNS:${name}`;
  execFileSync('openssl', argv.split(' '), { cwd: folder, stdio: 'pipe' });
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8');
  return { cert: read('c.pem'), key: read('k.pem') };
}

beforeAll(() => {
  ours = certificate(`*.${pods}`);
  theirs = certificate(`own.${pods}`);
});
afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(async () => {
  clock = new ManualClock();
  deadlines = new Deadlines(clock);
  table = new RouteTable('example.test', { host: '127.0.0.1', port: 1 });
  table.complete();
  wildcard = new Presented({ chain: ours.cert, key: ours.key }, '*', Buffer.alloc(32));
  address = '127.0.0.1';
  pending = new Map();
  served = [];
  sent = [];
  cancels = new Cancels({ deadlines, limits }, (message) => sent.push(message));
  const context = {
    proving: new Proving(
      { clock, limits, random: systemRandom },
      { get: (id, done) => done(pending.get(id)) },
    ),
    routing: {
      challenges: { find: () => undefined },
      table,
      domain: 'example.test',
      publicHttpsPort: 443,
    },
    cancels,
    meters: silentMeters(clock),
    deadlines,
    limits,
    certificate: (_host: string, _own: boolean, done: (shown: Presented | undefined) => void) =>
      done(wildcard),
    serveHttp: (socket: net.Socket, peer: Pick<Peer, 'sni' | 'address'>) => {
      const { alpnProtocol } = socket as tls.TLSSocket;
      served.push({ sni: peer.sni ?? '', address: peer.address, alpn: alpnProtocol });
      socket.end('served');
    },
  };
  const accept = (socket: net.Socket): void => void new Accepting(socket, address, context);
  port = (await listen(accept)).port;
});

afterEach(() => {
  deadlines.stop();
  // TLS before what lies under it: the other order crashes Node 26 on the client's side.
  for (const socket of [...open].toReversed()) socket.destroy();
  open.clear();
  for (const server of servers.splice(0)) server.close();
});

async function listen(accepted: (socket: net.Socket) => void | Promise<void>): Promise<Address> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    void accepted(socket);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { host: '127.0.0.1', port: (server.address() as net.AddressInfo).port };
}

interface Wanted {
  readonly protocol?: Route['protocol'];
  readonly policy?: Policy;
  readonly upstream?: Address | null;
}

function route(name: string, { protocol = 'tcp', policy, upstream = null }: Wanted): void {
  const host = `${name}.${pods}`;
  const state = upstream ? 'ready' : 'stopped';
  const message = upstream ? '' : 'It is off: start it.';
  const named = { host, tenant: 'default', pod: name, network: 'default', protocol } as const;
  const value = { ...named, state, message, upstream, ...(policy ? { policy } : {}) } as const;
  table.apply({ puts: [value], drops: [] });
}

async function dial(): Promise<net.Socket> {
  const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
  open.add(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

// Known to tls.connect, which hands it to its socket, but not to its declaration.
const halfOpen: object = { allowHalfOpen: true };

async function secure(
  name: string | undefined,
  options: tls.ConnectionOptions = {},
  over?: net.Socket,
): Promise<tls.TLSSocket> {
  const socket = tls.connect({
    socket: over ?? (await dial()),
    ...(name === undefined ? { checkServerIdentity: () => undefined } : {}),
    ...(name === undefined ? {} : { servername: `${name}.${pods}` }),
    ca: [ours.cert, theirs.cert],
    ...halfOpen,
    ...options,
  });
  open.add(socket);
  await once(socket, 'secureConnect');
  socket.on('error', () => undefined);
  return socket;
}

/** Asks as libpq does: S, then TLS. */
async function viaPostgres(
  name: string | undefined,
  options: tls.ConnectionOptions = {},
): Promise<tls.TLSSocket> {
  const socket = await dial();
  socket.write(sslRequest);
  expect((await next(socket)).toString()).toBe('S');
  return secure(name, options, socket);
}

async function rest(socket: net.Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  await new Promise((resolve) => socket.once('end', resolve).once('close', resolve));
  return Buffer.concat(parts);
}

async function next(socket: net.Socket): Promise<Buffer> {
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  return bytes;
}

async function eventually(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000; turn += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('waited in vain');
}

/** The first flight of a real client. */
async function helloOf(name: string | undefined, alpn: string[] = []): Promise<Buffer> {
  const taken = Promise.withResolvers<Buffer>();
  const where = await listen((socket) => void next(socket).then(taken.resolve));
  const client = tls.connect({
    ...where,
    ...(name === undefined ? {} : { servername: `${name}.${pods}` }),
    ...(alpn.length > 0 ? { ALPNProtocols: alpn } : {}),
    maxVersion: 'TLSv1.2', // without key shares it is short enough for every split
  });
  client.on('error', () => undefined);
  const hello = await taken.promise;
  client.destroy();
  return hello;
}

/** A pod that ends TLS itself, with a certificate of its own, and echoes. */
function tlsPod(before?: (socket: net.Socket) => Promise<void>): Promise<Address> {
  const secureContext = tls.createSecureContext(theirs);
  return listen(async (raw) => {
    await before?.(raw);
    const ALPNProtocols = ['postgresql', 'mqtt'];
    const socket = new tls.TLSSocket(raw, { isServer: true, secureContext, ALPNProtocols });
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
}

/** What a real Postgres does with SSLRequest. */
async function agree(raw: net.Socket): Promise<void> {
  expect(await next(raw)).toEqual(sslRequest);
  raw.pause();
  raw.write('S');
}

/** A port as the kernel's table has it. */
const hex = (number: number): string => `:${number.toString(16).toUpperCase().padStart(4, '0')}`;

/** Connections of this process with a keep-alive timer, by their port here or at the other end. */
function keepAliveTimers(local: number, remote: number): number {
  const connections = readFileSync('/proc/net/tcp', 'latin1').matchAll(
    /^ *\d+: \w+(:\w+) \w+(:\w+) 01 \S+ (\d\d):/gm,
  );
  return [...connections].filter(
    ([, here, there, timer]) => timer === '02' && (here === hex(local) || there === hex(remote)),
  ).length;
}

/** A pod that only listens: what it was sent, connection by connection. */
async function listener(answer?: string): Promise<{ upstream: Address; got: Buffer[] }> {
  const got: Buffer[] = [];
  const upstream = await listen((socket) => {
    const at = got.push(Buffer.alloc(0)) - 1;
    socket.on('data', (bytes: Buffer) => {
      got[at] = Buffer.concat([got[at] ?? bytes.subarray(0, 0), bytes]);
      if (answer !== undefined) socket.write(answer);
    });
    socket.on('end', () => socket.end());
  });
  return { upstream, got };
}

const echo = (): Promise<Address> => listen((socket) => void socket.pipe(socket));

describe('passthrough', () => {
  const policy = { passthrough: true } as const;

  test.each(['http', 'tcp', 'postgres'] as const)(
    'the pod of a %s route ends TLS itself, with its own certificate',
    async (protocol) => {
      route('own', { protocol, policy, upstream: await tlsPod() });
      const client = await secure('own', { ALPNProtocols: ['mqtt'], ca: theirs.cert });
      expect(client.alpnProtocol).toBe('mqtt');
      client.write('ping');
      expect((await next(client)).toString()).toBe('ping');
    },
  );

  test('the pod gets every byte as it came, however the hello was cut', async () => {
    const { upstream, got } = await listener('!');
    route('own', { policy, upstream });
    const hello = await helloOf('own');
    const after = Buffer.from([0x14, 0x03, 0x03, 0, 1, 1]);
    for (let at = 1; at < hello.length; at += 1) {
      const socket = await dial();
      socket.write(hello.subarray(0, at));
      setImmediate(() => socket.write(hello.subarray(at)));
      await next(socket);
      socket.end(after);
      await rest(socket);
    }
    expect(got).toHaveLength(hello.length - 1);
    const whole = Buffer.concat([hello, after]);
    for (const bytes of got) expect(bytes.equals(whole)).toBe(true);
  }, 30_000);

  test('single bytes are a hello, too', async () => {
    const { upstream, got } = await listener('!');
    route('own', { policy, upstream });
    const hello = await helloOf('own');
    const socket = await dial();
    for (const byte of hello) socket.write(Buffer.of(byte));
    await next(socket);
    expect(got[0]?.equals(hello)).toBe(true);
  });

  test('Postgres: SSLRequest is asked of the pod, too', async () => {
    route('own', { protocol: 'postgres', policy, upstream: await tlsPod(agree) });
    const client = await viaPostgres('own', { ca: theirs.cert });
    client.write('startup');
    expect((await next(client)).toString()).toBe('startup');
  });

  test('Postgres: TLS from the first byte is passed as it is', async () => {
    const { upstream, got } = await listener('!');
    route('own', { protocol: 'postgres', policy, upstream });
    const hello = await helloOf('own', ['postgresql']);
    const socket = await dial();
    socket.write(hello);
    await next(socket);
    expect(got[0]?.equals(hello)).toBe(true);
  });

  test.each([
    ['N', alert(40)],
    ['E', alert(40)],
    ['S and more, not yet encrypted', alert(40)],
  ])('Postgres: a pod that answers %s ends with an alert', async (answer, expected) => {
    const { upstream, got } = await listener(answer);
    route('own', { protocol: 'postgres', policy, upstream });
    const socket = await dial();
    socket.write(sslRequest);
    await next(socket);
    socket.write(await helloOf('own'));
    expect((await rest(socket)).toString('hex')).toBe(expected);
    expect(got).toEqual([sslRequest]);
  });

  test('Postgres: a pod that answers nothing has little time', async () => {
    const { upstream, got } = await listener();
    route('own', { protocol: 'postgres', policy, upstream });
    const socket = await dial();
    socket.write(sslRequest);
    await next(socket);
    socket.write(await helloOf('own'));
    await eventually(() => (got[0]?.length ?? 0) > 0);
    const told = rest(socket);
    await clock.advance(limits.upstreamConnectMs + 1_000);
    expect((await told).toString('hex')).toBe(alert(40));
  });

  test('a pod that is not ready, or does not accept, is an internal_error', async () => {
    route('own', { policy });
    route('dead', { policy, upstream: { host: '127.0.0.1', port: 1 } });
    for (const name of ['own', 'dead']) {
      const socket = await dial();
      socket.write(await helloOf(name));
      expect((await rest(socket)).toString('hex')).toBe(alert(80));
    }
  });

  test('the end of one side leaves the other open', async () => {
    const upstream = await listen((socket) => {
      let size = 0;
      socket.on('data', (bytes: Buffer) => (size += bytes.length));
      socket.on('end', () => socket.end(`got ${size}`));
    });
    route('own', { policy, upstream });
    const hello = await helloOf('own');
    const socket = await dial();
    socket.end(hello);
    expect((await rest(socket)).toString()).toBe(`got ${hello.length}`);
  });

  test('a tunnel may be silent for as long as it likes; TCP keep-alive is on at both ends', async () => {
    const upstream = await tlsPod();
    route('own', { policy, upstream });
    const client = await secure('own');
    client.write('x');
    await next(client);
    await eventually(() => keepAliveTimers(port, upstream.port) === 2);
    await clock.advance(24 * 3_600_000);
    client.write('still there');
    expect((await next(client)).toString()).toBe('still there');
  });
});

describe('ALPN', () => {
  test.each<[string, Wanted, string[], string | false]>([
    ['tcp without a list', {}, ['mqtt'], false],
    ['our first choice', { policy: { alpn: ['amqp', 'mqtt'] } }, ['mqtt', 'amqp'], 'amqp'],
    ['the only one shared', { policy: { alpn: ['amqp', 'mqtt'] } }, ['x', 'mqtt'], 'mqtt'],
    ['nothing shared: unanswered', { policy: { alpn: ['amqp'] } }, ['h2', 'http/1.1'], false],
    ['nothing offered', { policy: { alpn: ['amqp'] } }, [], false],
    ['postgres', { protocol: 'postgres' }, ['postgresql'], 'postgresql'],
    ['postgres, other names', { protocol: 'postgres' }, ['mysql'], false],
  ])('%s', async (_name, wanted, offered, expected) => {
    route('a', { ...wanted, upstream: await echo() });
    const client = await secure('a', offered.length > 0 ? { ALPNProtocols: offered } : {});
    expect(client.alpnProtocol).toBe(expected);
    client.write('x');
    expect((await next(client)).toString()).toBe('x');
  });
});

describe('the allow list', () => {
  const policy: Policy = { allow: ['192.0.2.0/24', '2001:db8::/32'] };

  test.each(['192.0.2.9', '2001:db8::9'])('%s is on it', async (from) => {
    route('a', { policy, upstream: await echo() });
    address = from;
    const client = await secure('a');
    client.write('x');
    expect((await next(client)).toString()).toBe('x');
  });

  test.each<[string, Wanted]>([
    ['tcp', { policy }],
    ['passthrough', { policy: { ...policy, passthrough: true } }],
    ['passthrough of http', { protocol: 'http', policy: { ...policy, passthrough: true } }],
    ['a pod that is off: its state is not told', { policy, upstream: null }],
  ])('who is not on it gets the alert access_denied: %s', async (_name, wanted) => {
    const { upstream, got } = await listener();
    route('a', { upstream, ...wanted });
    const socket = await dial();
    socket.write(await helloOf('a'));
    expect((await rest(socket)).toString('hex')).toBe(alert(49));
    expect(got).toHaveLength(0);
  });

  test.each(['postgres', 'tcp'] as const)('a Postgres client reads why: %s', async (protocol) => {
    const { upstream, got } = await listener();
    route('a', { protocol, policy, upstream });
    const client = await viaPostgres('a');
    client.write(startup);
    const message = `not allowed: 127.0.0.1 is not on the allow list of a.${pods}`;
    expect(await rest(client)).toEqual(errorResponse('28000', message));
    expect(got).toHaveLength(0);
  });

  test('requests are judged one by one: HTTP gets its handshake', async () => {
    route('a', { protocol: 'http', policy });
    expect((await rest(await secure('a'))).toString()).toBe('served');
    expect(served).toEqual([{ sni: `a.${pods}`, address: '127.0.0.1', alpn: false }]);
  });
});

describe('Postgres clients', () => {
  const noSni =
    'no SNI: use sslmode=require with libpq 14 or newer, and the name of the host, not its address';

  test('without a server name read what to do, after SSLRequest and with direct TLS', async () => {
    const asked = await viaPostgres(undefined);
    asked.write(startup);
    expect(await rest(asked)).toEqual(errorResponse('08004', noSni));
    const direct = await secure(undefined, { ALPNProtocols: ['postgresql'] });
    expect(direct.alpnProtocol).toBe('postgresql');
    direct.write(startup);
    expect(await rest(direct)).toEqual(errorResponse('08004', noSni));
  });

  test('without a server name and a certificate get the alert', async () => {
    wildcard = undefined;
    const socket = await dial();
    socket.write(sslRequest);
    await next(socket);
    socket.write(await helloOf(undefined));
    expect((await rest(socket)).toString('hex')).toBe(alert(109));
  });

  test('with direct TLS read that there is no pod, or no database', async () => {
    route('site', { protocol: 'http', upstream: { host: '127.0.0.1', port: 1 } });
    const told: [string, string][] = [
      ['nobody', `there is no pod at nobody.${pods}`],
      ['site', `site.${pods} is no database, it speaks http`],
    ];
    for (const [name, message] of told) {
      const client = await secure(name, { ALPNProtocols: ['postgresql'] });
      expect(client.alpnProtocol).toBe('postgresql');
      client.write(startup);
      expect(await rest(client)).toEqual(errorResponse('08004', message));
    }
  });

  test('a browser at a database is served as one: it gets a page', async () => {
    route('db', { protocol: 'postgres', upstream: await echo() });
    const browser = await secure('db', { ALPNProtocols: ['h2', 'http/1.1'] });
    expect((await rest(browser)).toString()).toBe('served');
    const client = await secure('db', { ALPNProtocols: ['postgresql', 'h2'] });
    expect(client.alpnProtocol).toBe('postgresql');
  });

  test.each([
    ['GSSENCRequest and SSLRequest at once', [gssRequest, sslRequest], ''],
    ['SSLRequest twice', [sslRequest, sslRequest], 'S'],
    ['SSLRequest, then GSSENCRequest', [sslRequest, gssRequest], 'S'],
    ['GSSENCRequest twice', [gssRequest, gssRequest], 'N'],
  ])('%s is refused', async (_name, requests, expected) => {
    const socket = await dial();
    const heard = rest(socket);
    if (expected === '') socket.write(Buffer.concat(requests));
    else {
      const [first, second] = requests;
      socket.write(first ?? '');
      await once(socket, 'data');
      socket.write(second ?? '');
    }
    expect((await heard).toString()).toBe(expected);
  });

  test('requests cut anywhere are answered all the same', async () => {
    for (let at = 1; at < sslRequest.length; at += 1) {
      const socket = await dial();
      for (const [request, expected] of [
        [gssRequest, 'N'],
        [sslRequest, 'S'],
      ] as const) {
        socket.write(request.subarray(0, at));
        setImmediate(() => socket.write(request.subarray(at)));
        expect((await next(socket)).toString()).toBe(expected);
      }
    }
  });
});

function cancel(key: string): Buffer {
  const length = (8 + key.length / 2).toString(16).padStart(8, '0');
  return Buffer.from(`${length}04d2162e${key}`, 'hex');
}

/** The keys whose owners the parent was asked for. */
const wantedKeys = (): string[] =>
  sent.flatMap((message) => (message.kind === 'cancel-wanted' ? message.key : []));

describe('a CancelRequest', () => {
  const short = '00001234deadbeef';
  test.each([
    ['of protocol 3.0', short],
    ['of protocol 3.2', `00001234${'5a'.repeat(32)}`],
    ['as long as it may be', `00001234${'5a'.repeat(256)}`],
  ])('%s in the clear is asked about, cut anywhere', async (_name, key) => {
    const request = cancel(key);
    // As many cuts as one address may ask about in a second.
    for (let at = 1; at < request.length; at += Math.ceil(request.length / 50)) {
      const before = sent.length;
      const socket = await dial();
      socket.write(request.subarray(0, at));
      setImmediate(() => socket.write(request.subarray(at)));
      await eventually(() => sent.length > before);
    }
    expect(new Set(wantedKeys())).toEqual(new Set([key]));
    expect(sent[0]).toMatchObject({ kind: 'cancel-wanted', from: '127.0.0.1' });
  });

  test('may follow a GSSENCRequest, not an SSLRequest', async () => {
    const gss = await dial();
    gss.write(gssRequest);
    await next(gss);
    gss.write(cancel(short));
    await eventually(() => wantedKeys().length === 1);
    const ssl = await dial();
    ssl.write(sslRequest);
    await next(ssl);
    ssl.write(cancel(short));
    expect(await rest(ssl)).toHaveLength(0);
    expect(wantedKeys()).toHaveLength(1);
  });

  test.each([
    ['too short', cancel('00001234deadbe')],
    ['too long', cancel(`00001234${'5a'.repeat(257)}`)],
    ['with more behind it', Buffer.concat([cancel(short), startup])],
  ])('%s is none', async (_name, request) => {
    const socket = await dial();
    socket.write(request);
    await rest(socket);
    expect(wantedKeys()).toEqual([]);
  });

  test('inside TLS goes to the pod that the client names', async () => {
    const { upstream, got } = await listener();
    route('db', { protocol: 'postgres', upstream });
    for (const connect of [viaPostgres, secure]) {
      const client = await connect('db', { ALPNProtocols: ['postgresql'] });
      client.end(cancel(short));
      await rest(client);
    }
    expect(got).toEqual([cancel(short), cancel(short)]);
    expect(sent).toEqual([]);
  });

  test('finds a session from its key’s first sight to its end; no byte is altered', async () => {
    const key = Buffer.from(short, 'hex');
    const speech = Buffer.concat([
      Buffer.from('520000000800000000', 'hex'),
      Buffer.from('4b0000000c', 'hex'),
      key,
      Buffer.from('5a0000000549', 'hex'),
    ]);
    const after = Buffer.concat([Buffer.from('4b0000000c0000999999999999', 'hex')]);
    const upstream = await listen((socket) => {
      socket.once('data', () => socket.write(speech));
      socket.on('end', () => socket.end(after));
    });
    route('db', { protocol: 'postgres', upstream });
    route('plain', { upstream });
    for (const name of ['plain', 'db']) {
      const client = await viaPostgres(name);
      client.write(startup);
      expect(await next(client)).toEqual(speech);
      const owners = name === 'db' ? [{ upstream, near: true }] : [];
      expect(cancels.sessions.owners(short, '127.0.0.1')).toEqual(owners);
      client.end();
      expect(await rest(client)).toEqual(after);
      await eventually(() => cancels.sessions.size === 0);
    }
  });
});

/** What the client of a tcp pod that is off reads, when it speaks HTTP. */
async function toldWhy(request: string, upstream: Address | null = null): Promise<string> {
  route('off', { upstream });
  const client = await secure('off', { ALPNProtocols: ['h2', 'http/1.1'] });
  client.write(request);
  return (await rest(client)).toString();
}

describe('a tcp pod that is not ready', () => {
  const browser =
    `GET / HTTP/1.1\r\nHost: off.${pods}\r\nAccept: text/html,*/*\r\nUpgrade: websocket\r\n` +
    'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n';

  test('tells a browser by a page that its WebSocket must wait', async () => {
    const answer = await toldWhy(browser);
    expect(answer).toMatch(/^HTTP\/1\.1 503 .*\r\nContent-Type: text\/html/s);
    expect(answer).toContain('EDGE_POD_STOPPED');
    expect(answer).toContain('\r\nConnection: close\r\n');
  });

  test('tells programs in JSON, HEAD without a body', async () => {
    const request = `GET /x HTTP/1.1\r\nHost: off.${pods}\r\n\r\n`;
    expect(await toldWhy(request)).toMatch(/\r\n\r\n\{"message":"It is off: start it\."/);
    expect(await toldWhy(request.replace('GET', 'HEAD'))).toMatch(/^HTTP\/1\.1 503 .*\r\n\r\n$/s);
    expect(await toldWhy('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 400 /,
    );
  });

  test('refuses when its port is dead', async () => {
    expect(await toldWhy(browser, { host: '127.0.0.1', port: 1 })).toContain(
      'EDGE_UPSTREAM_REFUSED',
    );
  });

  test('answers a request in single bytes', async () => {
    route('off', {});
    const client = await secure('off');
    for (const byte of browser) client.write(byte);
    expect((await rest(client)).toString()).toMatch(/^HTTP\/1\.1 503 /);
  });

  test.each([
    '\u0060\u0060\u00b0\u0017',
    'PING\r\n',
    'AMQP\0',
    'EHLO x\r\n',
    'PRI * HTTP/2.0\r\n\r\n',
    '*1\r\n',
  ])('ends with close_notify for what is no HTTP: %j', async (first) => {
    route('off', {});
    const records: Buffer[] = [];
    const tap = await listen((from) => {
      const to = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
      open.add(to);
      from.pipe(to).on('data', (bytes: Buffer) => records.push(bytes));
      to.pipe(from);
    });
    // In TLS 1.2 the type of an encrypted record can be read.
    const client = await secure('off', { maxVersion: 'TLSv1.2' }, net.connect(tap));
    records.length = 0;
    client.write(first, 'latin1');
    expect(await rest(client)).toHaveLength(0);
    expect(records[0]?.[0]).toBe(0x15);
  });

  test('ends for who says nothing, and for who never ends a head', async () => {
    route('off', {});
    for (const first of ['', 'GET / HTTP/1.1\r\n']) {
      const client = await secure('off');
      if (first) client.write(first);
      const ended = rest(client);
      await clock.advance(limits.firstByteMs + 1_000);
      expect(await ended).toHaveLength(0);
    }
  });
});

test('Bolt over WebSocket: a ready tcp pod hears the browser itself', async () => {
  // As Neo4j does it: one port, told apart by the first bytes.
  const upstream = await listen((socket) => {
    socket.once('data', (bytes: Buffer) => {
      const http = bytes.toString('latin1', 0, 4) === 'GET ';
      socket.write(http ? 'HTTP/1.1 101 Switching Protocols\r\n\r\n' : '\0\0\u0004\u0005');
      socket.pipe(socket);
    });
  });
  route('neo', { upstream });
  const web = await secure('neo', { ALPNProtocols: ['h2', 'http/1.1'] });
  expect(web.alpnProtocol).toBe(false); // the browser goes on with HTTP/1.1
  web.write('GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n');
  expect((await next(web)).toString()).toMatch(/^HTTP\/1\.1 101 /);
  const bolt = await secure('neo');
  bolt.write(Buffer.from('6060b017', 'hex'));
  expect((await next(bolt)).toString('hex')).toBe('00000405');
  for (const socket of [web, bolt]) {
    socket.write('both ways');
    expect((await next(socket)).toString()).toBe('both ways');
  }
});

describe('damaged beginnings', () => {
  test('end the connection or wait for more, and hurt nobody else', async () => {
    const { upstream, got } = await listener();
    route('own', { policy: { passthrough: true }, upstream });
    route('db', { protocol: 'postgres', upstream });
    const hello = await helloOf('own');
    const beginnings = [hello, await helloOf('db', ['postgresql']), sslRequest, gssRequest];
    beginnings.push(cancel('00001234deadbeef'), startup, Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    const damaged = fc
      .tuple(
        fc.constantFrom(...beginnings),
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }),
        fc.uint8Array({ maxLength: 30 }),
      )
      .map(([beginning, changes, more]) => {
        const bytes = Buffer.concat([beginning, more]);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        return bytes;
      });
    await fc.assert(
      fc.asyncProperty(damaged, fc.nat(), async (bytes, cut) => {
        const socket = await dial();
        const before = got.length;
        socket.write(bytes.subarray(0, cut % bytes.length));
        setImmediate(() => socket.end(bytes.subarray(cut % bytes.length)));
        await rest(socket);
        // What reaches a pod in passing is what came, and as a whole.
        const passed = got.slice(before).filter((seen) => !seen.equals(sslRequest));
        for (const seen of passed) expect(seen.equals(bytes)).toBe(true);
      }),
      { numRuns: 300 },
    );
    const client = await dial();
    client.end(hello);
    await rest(client);
    expect(got.at(-1)).toEqual(hello);
  }, 30_000);
});
