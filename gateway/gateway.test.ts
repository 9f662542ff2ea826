import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Certificate } from '#contracts/certificate.ts';
import { certificates } from '#contracts/certificate.ts';
import { challenges } from '#contracts/challenge.ts';
import { sealContext } from '#contracts/pod.ts';
import { StoreUnavailable } from '#contracts/store.ts';
import { sessionTickets } from './ticket-key.ts';
import type { Begun, Route } from '#contracts/route.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import type { Gateway } from './gateway.ts';
import { startGateway } from './gateway.ts';
import { PortTaken } from './listeners.ts';
import { servingTerms } from '../test/gateway-examples.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const folder = mkdtempSync(join(tmpdir(), 'podgate-gateway-'));
const sealer = openSealer(join(folder, 'key'));
const store = new MemoryStore();
const bus = new MemoryRouteBus();
let upstream: http.Server;
let ca = '';
let gateway: Gateway;

const settings = {
  id: 'test',
  ...servingTerms,
  httpsPort: 0,
  httpPort: 0,
  workers: 2,
  dataDir: folder,
};
const ports = {
  routes: bus,
  challenges: challenges(store),
  tickets: sessionTickets(store),
  sealer,
  clock: systemClock,
  random: systemRandom,
  log: silent,
};
const start = (
  routes: MemoryRouteBus,
  other: Partial<typeof settings> = {},
  collection = certificates(store),
): Promise<Gateway> =>
  startGateway({ ...ports, routes, certificates: collection }, { ...settings, ...other });

const away = () => Promise.reject(new StoreUnavailable('the store is away'));
const storeAway: ReturnType<typeof certificates> = {
  ...certificates(store),
  get: away,
  ids: away,
  list: away,
  pagesSince: async function* () {
    yield await away();
  },
};

const identities = new Map<string, { chain: string; key: string }>();

/** A self-signed certificate for one name, made once. */
function makeIdentity(host: string): { chain: string; key: string } {
  const known = identities.get(host);
  if (known) return known;
  const argv =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem ' +
    `-days 2 -subj /CN=t -addext subjectAltName=DNS:${host}`;
  execFileSync('openssl', argv.split(' '), { cwd: folder, stdio: 'pipe' });
  const chain = readFileSync(join(folder, 'c.pem'), 'utf8');
  const made = { chain, key: readFileSync(join(folder, 'k.pem'), 'utf8') };
  identities.set(host, made);
  return made;
}

function certificate(id: string, host: string, key = makeIdentity(host).key): Certificate {
  return {
    hosts: [host],
    chain: makeIdentity(host).chain,
    key: sealer.seal(key, sealContext.certificate(id)),
    notBeforeMs: 0,
    notAfterMs: Number.MAX_SAFE_INTEGER,
    renewAtMs: Number.MAX_SAFE_INTEGER,
    issuer: 'test',
  };
}

/** The names of the certificate that is shown for a host. */
function namesShown(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, servername: host, rejectUnauthorized: false };
    const socket = tls.connect(options, () => {
      resolve(socket.getPeerCertificate().subjectaltname);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

beforeAll(async () => {
  upstream = http.createServer((_request, response) => response.end('from the pod'));
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  ca = makeIdentity('*.pods.example.test').chain;
  await certificates(store).put(
    'wildcard',
    certificate('wildcard', '*.pods.example.test'),
    'absent',
  );
  gateway = await start(bus);
  await bus.begin(1, []);
}, 30_000);

afterAll(async () => {
  await gateway.stop();
  upstream.close();
  rmSync(folder, { recursive: true });
});

function route(name: string): Route {
  const address = upstream.address();
  return {
    host: `${name}.pods.example.test`,
    tenant: 'default',
    pod: name,
    network: 'default',
    protocol: 'http',
    state: 'ready',
    message: '',
    upstream: { host: '127.0.0.1', port: typeof address === 'object' ? (address?.port ?? 0) : 0 },
  };
}

/** Publishes and waits until every worker applies it. */
async function publish(work: Promise<number | Begun>): Promise<void> {
  const done = await work;
  const revision = typeof done === 'number' ? done : done.revision;
  await eventually(() => bus.acks().every((ack) => ack.revision >= revision));
}

async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 1_000; turn += 1) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('waited in vain');
}

function get(
  host: string,
  port: number,
  address = '127.0.0.1',
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const options = { host: address, port, servername: host, ca, agent: false, headers: { host } };
    const request = https.get(options, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.on('error', reject);
  });
}

test('a route is served on both workers, over IPv4 and IPv6, as soon as it is acknowledged', async () => {
  await publish(bus.put(1, route('one')));
  for (const address of ['127.0.0.1', '::1', '127.0.0.1', '::1', '127.0.0.1', '::1']) {
    const answer = await get('one.pods.example.test', gateway.httpsPort, address);
    expect(answer).toEqual({ status: 200, body: 'from the pod' });
  }
});

test('a dropped route answers 404 at once', async () => {
  await publish(bus.put(1, route('brief')));
  expect((await get('brief.pods.example.test', gateway.httpsPort)).status).toBe(200);
  await publish(bus.drop(1, 'brief.pods.example.test'));
  expect((await get('brief.pods.example.test', gateway.httpsPort)).status).toBe(404);
});

test('a name outside the domain gets the alert unrecognized_name', async () => {
  await expect(get('other.test', gateway.httpsPort)).rejects.toThrow(/unrecognized name/);
});

test('a stopped pod and a pod without a route have their pages', async () => {
  await publish(
    bus.put(1, { ...route('idle'), state: 'stopped', message: 'Off.', upstream: null }),
  );
  const stopped = await get('idle.pods.example.test', gateway.httpsPort);
  expect(stopped.status).toBe(503);
  expect(stopped.body).toContain('EDGE_POD_STOPPED');
  expect((await get('nobody.pods.example.test', gateway.httpsPort)).body).toContain(
    'EDGE_NO_ROUTE',
  );
});

test('a worker that is killed is replaced; connections made meanwhile are answered', async () => {
  await publish(bus.put(1, route('steady')));
  const before = gateway.workerPids();
  for (const pid of before) process.kill(pid, 'SIGKILL');
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => get('steady.pods.example.test', gateway.httpsPort)),
  );
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  await eventually(() => gateway.ready());
  expect(gateway.workerPids()).toHaveLength(2);
  expect(gateway.workerPids()).not.toEqual(before);
}, 30_000);

test('queued connections never meet an empty table: raw TCP reaches its pod after both workers died', async () => {
  const echo = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const address = echo.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const raw: Route = {
    ...route('raw'),
    protocol: 'tcp',
    upstream: { host: '127.0.0.1', port },
  };
  await publish(bus.put(1, raw));
  for (const pid of gateway.workerPids()) process.kill(pid, 'SIGKILL');
  const echoed = Array.from({ length: 20 }, async () => {
    const where = { host: '127.0.0.1', port: gateway.httpsPort, servername: raw.host, ca };
    const socket = tls.connect(where);
    socket.write('ping');
    const [bytes]: Buffer[] = await once(socket, 'data');
    socket.destroy();
    return bytes?.toString();
  });
  expect(new Set(await Promise.all(echoed))).toEqual(new Set(['ping']));
  await eventually(() => gateway.ready());
  echo.close();
}, 30_000);

test('a worker that is asked to end (SIGTERM) finishes what is under way, and is replaced', async () => {
  const slow = http.createServer((_request, response) => {
    response.write('first,');
    setTimeout(() => response.end('last'), 500);
  });
  slow.listen(0, '127.0.0.1');
  await once(slow, 'listening');
  const address = slow.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  await publish(bus.put(1, { ...route('slow'), upstream: { host: '127.0.0.1', port } }));
  const before = gateway.workerPids();
  const arrived = Promise.all(Array.from({ length: 4 }, () => once(slow, 'request')));
  const answers = Array.from({ length: 4 }, () => get('slow.pods.example.test', gateway.httpsPort));
  await arrived;
  for (const pid of before) process.kill(pid, 'SIGTERM');
  for (const answer of await Promise.all(answers)) {
    expect(answer).toEqual({ status: 200, body: 'first,last' });
  }
  await eventually(
    () => gateway.ready() && gateway.workerPids().every((pid) => !before.includes(pid)),
  );
  slow.close();
}, 30_000);

test('workers that are asked to end under load lose no request', async () => {
  const host = 'busy.pods.example.test';
  await publish(bus.put(1, route('busy')));
  const agent = new https.Agent({ keepAlive: true, maxSockets: 16 });
  let answered = 0;
  const stop = new AbortController();
  /** Sends one after the other on kept connections; only what was never sent may be sent again. */
  const client = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const status = await new Promise<number>((resolve, reject) => {
        const asked = https.request(
          {
            agent,
            host: '127.0.0.1',
            port: gateway.httpsPort,
            servername: host,
            ca,
            headers: { host },
          },
          (response) => {
            response.resume();
            response.on('end', () => resolve(response.statusCode ?? 0));
            response.on('error', reject);
          },
        );
        asked.on('error', reject);
        asked.end();
      });
      if (status !== 200) throw new Error(`answered ${status}`);
      answered += 1;
    }
  };
  const clients = Promise.all(Array.from({ length: 16 }, client));
  await eventually(() => answered > 200);
  for (let round = 0; round < 3; round += 1) {
    const [pid = 0] = gateway.workerPids();
    const before = answered;
    process.kill(pid, 'SIGTERM');
    await eventually(() => gateway.ready() && !gateway.workerPids().includes(pid));
    await eventually(() => answered > before + 200);
  }
  stop.abort();
  await clients;
  agent.destroy();
}, 60_000);

test('a taken port is named', async () => {
  const other = net.createServer().listen(0, '::');
  await once(other, 'listening');
  const address = other.address();
  const httpsPort = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const taken = startGateway(
    { ...ports, certificates: certificates(store) },
    { ...settings, httpsPort },
  );
  await expect(taken).rejects.toThrow(PortTaken);
  await expect(taken).rejects.toMatchObject({ port: httpsPort, code: 'EADDRINUSE' });
  other.close();
});

test('with no controller at all, a new gateway serves the tables of the last run', async () => {
  await publish(bus.put(1, route('kept')));
  const file = join(folder, 'gateway', 'tables.json');
  await eventually(() => existsSync(file) && readFileSync(file, 'utf8').includes('kept.pods'));
  for (const name of readdirSync(join(folder, 'gateway')))
    expect(readFileSync(join(folder, 'gateway', name), 'latin1')).not.toContain('PRIVATE KEY');
  const alone = await start(new MemoryRouteBus());
  expect(alone.ready()).toBe(false);
  await eventually(() => alone.ready());
  await eventually(
    async () => (await get('kept.pods.example.test', alone.httpsPort)).status === 200,
  );
  await alone.stop();
}, 30_000);

test('with everything else dead, a new gateway has all certificates of the last run', async () => {
  const dataDir = mkdtempSync(join(folder, 'alone-'));
  const before = certificates(new MemoryStore());
  const names = Array.from({ length: 1_000 }, (_, index) => `own${index}`);
  const hostOf = (name: string): string => route(name).host;
  // Of most nobody ever asks, so they need not differ.
  const any = certificate('any', hostOf('own1'));
  for (const name of names) {
    const id = `pod/default/${name}`;
    const hosts = [hostOf(name)];
    const key = sealer.seal(makeIdentity(hostOf('own1')).key, sealContext.certificate(id));
    await before.put(id, { ...any, hosts, key }, 'absent');
  }
  await before.put(
    'pod/default/own999',
    certificate('pod/default/own999', hostOf('own999')),
    'anything',
  );
  await before.put('wildcard', certificate('wildcard', '*.pods.example.test'), 'absent');
  const own = new MemoryRouteBus();
  const last = await start(own, { dataDir }, before);
  const { revision } = await own.begin(1, names.map(route));
  await eventually(() => own.acks().some((ack) => ack.revision >= revision));
  expect(await namesShown(hostOf('own999'), last.httpsPort)).toBe(`DNS:${hostOf('own999')}`);
  await last.stop();
  const alone = await start(new MemoryRouteBus(), { dataDir }, storeAway);
  await eventually(() => alone.ready());
  // Nobody had asked for the one of `own1` before.
  for (const name of ['own999', 'own1'])
    expect(await namesShown(hostOf(name), alone.httpsPort)).toBe(`DNS:${hostOf(name)}`);
  expect((await get(hostOf('nobody'), alone.httpsPort)).status).toBe(404);
  await alone.stop();
}, 30_000);

test('stop leaves no worker behind', async () => {
  const short = await start(new MemoryRouteBus());
  const pids = short.workerPids();
  await short.stop();
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
}, 30_000);

test('before any table is known, a pod is on its way and not unknown', async () => {
  const dataDir = mkdtempSync(join(folder, 'new-'));
  const early = await start(new MemoryRouteBus(), { dataDir });
  const answer = await get('one.pods.example.test', early.httpsPort);
  expect(answer.status).toBe(503);
  await early.stop();
}, 30_000);

test('a certificate that cannot be used costs its host the own one, and no process its life', async () => {
  const own = certificates(store);
  const [cut, moved] = ['cut.pods.example.test', 'moved.pods.example.test'];
  await own.put('pod/default/cut', certificate('pod/default/cut', cut, 'no key at all'), 'absent');
  // Sealed for another place: opening it throws in the parent.
  await own.put('pod/default/moved', certificate('pod/default/other', moved), 'absent');
  await publish(bus.put(1, route('cut')));
  await publish(bus.put(1, route('moved')));
  const before = gateway.workerPids();
  for (const host of [cut, moved, cut, moved]) {
    expect((await get(host, gateway.httpsPort)).status).toBe(200);
  }
  expect(gateway.workerPids()).toEqual(before);
}, 30_000);

test('a certificate that is stored while the gateway starts is not missed', async () => {
  const host = 'during.pods.example.test';
  const real = certificates(store);
  const slow = {
    ...real,
    pagesSince: async function* (version: number) {
      yield* real.pagesSince(version);
      await real.put('pod/default/during', certificate('pod/default/during', host), 'absent');
    },
  };
  const dataDir = mkdtempSync(join(folder, 'during-'));
  const own = new MemoryRouteBus();
  const starting = await start(own, { dataDir }, slow);
  await own.begin(1, [route('during')]);
  await eventually(() => starting.ready());
  await eventually(async () => (await namesShown(host, starting.httpsPort)) === `DNS:${host}`);
  await starting.stop();
}, 30_000);

test('certificates of the last run bring back none that was replaced or removed since', async () => {
  const dataDir = mkdtempSync(join(folder, 'old-'));
  const [past, gone] = ['past.pods.example.test', 'gone.pods.example.test'];
  const before = new MemoryStore();
  const old = { ...certificate('pod/default/past', 'old.test'), hosts: [past] };
  await certificates(before).put('pod/default/past', old, 'absent');
  await certificates(before).put(
    'pod/default/gone',
    certificate('pod/default/gone', gone),
    'absent',
  );
  await certificates(before).put(
    'wildcard',
    certificate('wildcard', '*.pods.example.test'),
    'absent',
  );
  const own = new MemoryRouteBus();
  await own.begin(1, [route('past'), route('gone')]);
  const last = await start(own, { dataDir }, certificates(before));
  await eventually(async () => (await namesShown(past, last.httpsPort)) === 'DNS:old.test');
  expect(await namesShown(gone, last.httpsPort)).toBe(`DNS:${gone}`);
  await last.stop();
  await certificates(before).put(
    'pod/default/past',
    certificate('pod/default/past', past),
    'anything',
  );
  await certificates(before).remove('pod/default/gone', 'anything');
  const next = await start(own, { dataDir }, certificates(before));
  expect(await namesShown(past, next.httpsPort)).toBe(`DNS:${past}`);
  expect(await namesShown(gone, next.httpsPort)).toBe('DNS:*.pods.example.test');
  await next.stop();
}, 30_000);

test('what was published last is on disk after a stop', async () => {
  const dataDir = mkdtempSync(join(folder, 'flushed-'));
  const own = new MemoryRouteBus();
  const short = await start(own, { dataDir });
  const { revision } = await own.begin(1, [route('last')]);
  await eventually(() => own.acks().some((ack) => ack.revision >= revision));
  await short.stop();
  expect(readFileSync(join(dataDir, 'gateway', 'tables.json'), 'utf8')).toContain('last.pods');
}, 30_000);

test('a broken feed is followed again', async () => {
  const real = certificates(store);
  let breaks = 2;
  const flaky = {
    ...real,
    pagesSince: async function* (version: number) {
      if (breaks-- > 0) throw new Error('store is away');
      yield* real.pagesSince(version);
    },
  };
  const dataDir = mkdtempSync(join(folder, 'flaky-'));
  const own = new MemoryRouteBus();
  const starting = await start(own, { dataDir }, flaky);
  await own.begin(1, [route('later')]);
  await eventually(async () => {
    const answer = await get('later.pods.example.test', starting.httpsPort).catch(() => undefined);
    return answer?.status === 200;
  });
  await starting.stop();
}, 30_000);

test('5,000 routes reach the workers in parts, and one request sees the last of them', async () => {
  const own = new MemoryRouteBus();
  const dataDir = mkdtempSync(join(folder, 'many-'));
  const large = await start(own, { dataDir });
  const routes = Array.from({ length: 5_000 }, (_, index) => route(`n${index}`));
  const { revision } = await own.begin(1, routes);
  await eventually(() => own.acks().some((ack) => ack.revision >= revision));
  for (const name of ['n0', 'n999', 'n1000', 'n4999']) {
    expect((await get(`${name}.pods.example.test`, large.httpsPort)).status).toBe(200);
  }
  await large.stop();
}, 30_000);
