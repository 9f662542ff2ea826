import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { certificates } from '#contracts/certificate.ts';
import { sealContext } from '#contracts/pod.ts';
import type { Route } from '#contracts/route.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import type { Gateway } from './gateway.ts';
import { startGateway } from './gateway.ts';
import { PortTaken } from './listeners.ts';

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
  domain: 'example.test',
  httpsPort: 0,
  httpPort: 0,
  publicHttpsPort: 443,
  workers: 2,
  dataDir: folder,
  api: { host: '127.0.0.1', port: 1 },
};
const ports = { routes: bus, sealer, clock: systemClock, random: systemRandom, log: silent };
const start = (routes: MemoryRouteBus): Promise<Gateway> =>
  startGateway({ ...ports, routes, certificates: certificates(store) }, settings);

beforeAll(async () => {
  upstream = http.createServer((_request, response) => response.end('from the pod'));
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const argv =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem ' +
    '-days 2 -subj /CN=t -addext subjectAltName=DNS:*.pods.example.test';
  execFileSync('openssl', argv.split(' '), { cwd: folder, stdio: 'pipe' });
  ca = readFileSync(join(folder, 'c.pem'), 'utf8');
  const key = readFileSync(join(folder, 'k.pem'), 'utf8');
  await certificates(store).put(
    'wildcard',
    {
      hosts: ['*.pods.example.test'],
      chain: ca,
      key: sealer.seal(key, sealContext.certificate('wildcard')),
      notBeforeMs: 0,
      notAfterMs: Number.MAX_SAFE_INTEGER,
      renewAtMs: Number.MAX_SAFE_INTEGER,
      issuer: 'test',
    },
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
async function publish(work: Promise<number>): Promise<void> {
  const revision = await work;
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
  expect(readFileSync(file, 'utf8')).not.toContain('PRIVATE KEY');
  const alone = await start(new MemoryRouteBus());
  expect(alone.ready()).toBe(false);
  await eventually(() => alone.ready());
  await eventually(
    async () => (await get('kept.pods.example.test', alone.httpsPort)).status === 200,
  );
  await alone.stop();
}, 30_000);

test('stop leaves no worker behind', async () => {
  const short = await start(new MemoryRouteBus());
  const pids = short.workerPids();
  await short.stop();
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
}, 30_000);
