import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import http2 from 'node:http2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Family } from '../exposition.ts';
import { parseExposition, valueOf } from '../exposition.ts';
import { Standalone, until } from './standalone.ts';

/** What an operator sees of a standalone that serves: admin port, /explain, and traffic in the API. */

const token = 'a-token-of-the-operator';
const host = 'hello.pods.localhost';
let podgate: Standalone;

beforeAll(async () => {
  // On all addresses, so that the token's rule is there; asked on loopback all the same.
  const env = { PODGATE_ADMIN_HOST: '0.0.0.0', PODGATE_ADMIN_TOKEN: token };
  podgate = await Standalone.start({ env });
  await podgate.state('hello', 'AVAILABLE');
});
afterAll(() => podgate.stopAndForget());

const admin = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`http://127.0.0.1:${podgate.ports.admin}${path}`, { headers });

// What a test picks from JSON is checked by what it expects of it.
type Json = Record<string, unknown>;

async function explain(query: string): Promise<Json> {
  const answer = await admin(`/explain?${query}`, { authorization: `Bearer ${token}` });
  expect(answer.status).toBe(200);
  return (await answer.json()) as Json;
}

const scrape = (): Promise<ReadonlyMap<string, Family>> =>
  parseExposition({ metrics: async () => (await admin('/metrics')).text() });

/** Process ids of the gateway's workers. */
function workerPids(): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const ours = readFileSync(`/proc/${name}/status`, 'utf8').includes(
        `\nPPid:\t${podgate.child.pid}\n`,
      );
      const worker = readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('gateway/worker/main');
      return ours && worker ? [Number(name)] : [];
    } catch {
      return []; // it ended meanwhile
    }
  });
}

test('beyond loopback /explain wants the token, the rest does not', async () => {
  expect((await admin(`/explain?host=${host}`)).status).toBe(401);
  expect((await admin(`/explain?host=${host}`, { authorization: 'Bearer no' })).status).toBe(401);
  for (const path of ['/healthz', '/readyz', '/metrics']) {
    expect((await admin(path)).status, path).toBe(200);
  }
  // Nobody who starts it can hand the token on to what it runs.
  for (const pid of workerPids()) {
    expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain(token);
  }
});

test('/explain tells of the demo pod what a client sees', async () => {
  const told = await explain(`host=${host}`);
  expect(told['summary']).toMatch(
    /^hello\.pods\.localhost is ready, network default \(http\) of pod hello: requests are forwarded to 127\.0\.0\.1:\d+, under its own certificate, good until \d{4}-\d\d-\d\d\.$/,
  );
  expect(told).toMatchObject({
    table: { source: 'the controller', age_seconds: 0 },
    route: { found: true, tenant: 'default', pod: 'hello', network: 'default', state: 'ready' },
    tls: { mode: 'terminate', alpn: ['h2', 'http/1.1'], certificate: { which: 'own' } },
  });
  const socket = podgate.connect(host);
  await once(socket, 'secureConnect');
  const shown = new X509Certificate(socket.getPeerCertificate().raw);
  socket.destroy();
  const fingerprint = { certificate: { fingerprint_sha256: shown.fingerprint256 } };
  expect(told['tls']).toMatchObject({ certificate: fingerprint });
  expect(JSON.stringify(told)).not.toMatch(/PRIVATE KEY|v1\./);
});

test('/explain and the gateway agree about a pod that is stopped, and one that is nobody’s', async () => {
  await podgate.pod({ pod_id: 'rests', image: 'podgate/hello' });
  await podgate.call('GET', '/v3/pods/rests/stop');
  await podgate.state('rests', 'STOPPED');
  for (const name of ['rests.pods.localhost', 'nobody.pods.localhost']) {
    const reply = await podgate.request(name, '/', { headers: { accept: 'application/json' } });
    const { code } = JSON.parse(reply.body.toString()) as { code: string };
    const { clients } = await explain(`host=${name}`);
    expect(clients).toMatchObject([{ outcome: { kind: 'page', status: reply.status, code } }]);
  }
  await podgate.call('DELETE', '/v3/pods/rests');
  await until(async () => {
    const { route } = await explain('host=rests.pods.localhost');
    return (route as Json)['found'] === false;
  });
  expect((await explain('host=rests.pods.localhost'))['summary']).toContain(
    'has had no route since',
  );
});

/** How often workers were started again, of both. */
async function restarts(): Promise<number> {
  const families = await scrape();
  const of = (worker: string): number =>
    valueOf(families, 'podgate_gateway_worker_restarts_total', { worker }) ?? 0;
  return of('0') + of('1');
}

const total = (families: ReadonlyMap<string, Family>, name: string, labels: Labels): number =>
  valueOf(families, `podgate_gateway_${name}`, labels) ?? Number.NaN;

type Labels = Readonly<Record<string, string>>;

/** Of each worker: it grows with every report, and with nothing else. */
const cpu = (families: ReadonlyMap<string, Family>): number[] =>
  ['0', '1'].map((worker) => total(families, 'worker_cpu_seconds_total', { worker }));

/** A scrape with all that happened before: since it was asked for, both workers have reported. */
async function reported(): Promise<ReadonlyMap<string, Family>> {
  const first = cpu(await scrape());
  let families = await scrape();
  await until(async () => {
    families = await scrape();
    return cpu(families).every((seconds, worker) => seconds > (first[worker] ?? 0));
  });
  return families;
}

/** By how much metrics grew while `act` ran; workers report once a second, so they are waited for. */
async function grown(
  act: () => Promise<void>,
  wanted: readonly (readonly [name: string, labels: Labels, by: number])[],
): Promise<void> {
  const before = await reported();
  await act();
  let seen: unknown[] = [];
  await until(
    async () => {
      const after = await scrape();
      seen = wanted.map(([name, labels]) => [
        name,
        labels,
        total(after, name, labels) - total(before, name, labels),
      ]);
      return isDeepStrictEqual(seen, wanted);
    },
    () => `${JSON.stringify(seen)} is not ${JSON.stringify(wanted)}`,
    5_000,
  );
}

/** Two requests on one connection. */
async function twiceInHttp2(name: string): Promise<void> {
  const socket = podgate.connect(name, ['h2']);
  await once(socket, 'secureConnect');
  const client = http2.connect(`https://${name}`, { createConnection: () => socket });
  for (let request = 0; request < 2; request += 1) {
    const stream = client.request({ ':path': '/' });
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpStatusHeader];
    expect(headers[':status']).toBe(200);
    stream.resume();
    await once(stream, 'end');
  }
  client.close();
}

/** A WebSocket that has sent 50,000 bytes and got them back. */
async function echoed(name: string): Promise<WebSocket> {
  const options = {
    servername: name,
    ca: podgate.ca,
    headers: { host: name },
    perMessageDeflate: false,
  };
  const socket = new WebSocket(`wss://127.0.0.1:${podgate.ports.https}/ws`, options);
  await once(socket, 'open');
  socket.send(Buffer.alloc(50_000, 'y'));
  await once(socket, 'message');
  return socket;
}

interface Traffic {
  readonly since: string;
  readonly networks: Readonly<Record<string, Json>>;
}

async function traffic(pod: string): Promise<Traffic> {
  const { status, envelope } = await podgate.call('GET', `/v3/pods/${pod}/traffic`);
  expect(status).toBe(200);
  return envelope.result as unknown as Traffic;
}

const nothing = { '1xx': 0, '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0 };

test('HTTP/1.1, HTTP/2 and a WebSocket are counted exactly: in metrics, the API and /explain', async () => {
  await podgate.pod({ pod_id: 'counted', image: 'podgate/hello' });
  const name = 'counted.pods.localhost';
  const fresh = await traffic('counted');
  expect(fresh.networks).toEqual({
    default: {
      requests: 0,
      statuses: nothing,
      bytes_in: 0,
      bytes_out: 0,
      open: 0,
      last_activity_ts: null,
      latency_ms: null,
    },
  });
  expect(Date.parse(`${fresh.since}Z`)).toBeLessThan(Date.now());

  const body = Buffer.alloc(100_000, 'x');
  let socket: WebSocket | undefined;
  await grown(async () => {
    const up = { method: 'PUT', headers: { 'content-length': '100000' }, body };
    expect((await podgate.request(name, '/upload', up)).status).toBe(200);
    expect((await podgate.request(name, '/nowhere')).status).toBe(404);
    await twiceInHttp2(name);
    socket = await echoed(name);
  }, [
    ['requests_total', { protocol: 'http1', class: '2xx' }, 1],
    ['requests_total', { protocol: 'http1', class: '4xx' }, 1],
    ['requests_total', { protocol: 'http2', class: '2xx' }, 2],
    ['requests_total', { protocol: 'websocket', class: '1xx' }, 1],
    ['connections_total', { listener: 'https' }, 4],
    ['request_seconds_count', {}, 4],
    ['upstream_first_byte_seconds_count', {}, 4],
    ['tunnels', {}, 1],
  ]);
  const { networks } = await traffic('counted');
  expect(networks['default']).toMatchObject({
    requests: 5,
    statuses: { ...nothing, '1xx': 1, '2xx': 3, '4xx': 1 },
    open: 1,
    latency_ms: { p50: expect.any(Number), p90: expect.any(Number), p99: expect.any(Number) },
  });
  // The upload, and what the WebSocket sent; heads make the rest.
  expect(networks['default']?.['bytes_in']).toBeGreaterThan(150_000);
  expect(networks['default']?.['bytes_in']).toBeLessThan(153_000);
  expect(networks['default']?.['bytes_out']).toBeGreaterThan(50_000);
  expect(networks['default']?.['bytes_out']).toBeLessThan(70_000);
  const { traffic: explained } = await explain(`host=${name}`);
  const { latency_ms: _, last_activity_ts: active, ...counted } = networks['default'] ?? {};
  expect(explained).toMatchObject(counted);
  expect(Date.now() - Date.parse(`${String(active)}Z`)).toBeLessThan(30_000);

  socket?.close();
  await until(async () => (await traffic('counted')).networks['default']?.['open'] === 0);
});

test('a session of TCP is counted with its bytes while it lasts', async () => {
  const environment_variables = { HELLO_TCP: 'echo' };
  const networking = {
    default: { protocol: 'http', port: 8000 },
    echo: { protocol: 'tcp', port: 9000 },
  };
  await podgate.pod({
    pod_id: 'echoes',
    image: 'podgate/hello',
    environment_variables,
    networking,
  });
  const socket = podgate.connect('echoes-echo.pods.localhost');
  await once(socket, 'secureConnect');
  socket.write('twelve bytes\n');
  const [said] = (await once(socket, 'data')) as [Buffer];
  let seen: Json | undefined;
  await until(
    async () => {
      seen = (await traffic('echoes')).networks['echo'];
      return seen?.['bytes_in'] === 13 && seen['bytes_out'] === said.length;
    },
    () => JSON.stringify(seen),
  );
  expect(seen).toMatchObject({ requests: 1, statuses: nothing, open: 1, latency_ms: null });
  socket.destroy();
  await until(async () => (await traffic('echoes')).networks['echo']?.['open'] === 0);
});

const hangsUp = `
import http.server, os
class Pod(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != '/hangup': self.send_response(200); self.end_headers()
http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), Pod).serve_forever()
`;

test('a pod that hangs up shows in the metrics, and with its newest errors in /explain', async () => {
  const command = ['/usr/bin/python3', '-c', hangsUp];
  await podgate.pod({ pod_id: 'hangsup', image: 'podgate/process', command });
  await grown(async () => {
    expect((await podgate.request('hangsup.pods.localhost', '/hangup')).status).toBe(502);
  }, [
    ['upstream_errors_total', { code: 'EDGE_UPSTREAM_FAILED' }, 1],
    ['requests_total', { protocol: 'http1', class: '5xx' }, 1],
  ]);
  const { last_errors: errors } = await explain('host=hangsup.pods.localhost');
  expect(errors).toEqual([
    {
      at: expect.any(String),
      code: 'EDGE_UPSTREAM_FAILED',
      message: expect.stringContaining('closed the connection without a whole answer'),
    },
  ]);
});

test('/readyz says which worker does not serve, and when all do again', async () => {
  const before = workerPids();
  expect(before).toHaveLength(2);
  const [victim = 0] = before;
  expect(await restarts()).toBe(0);
  process.kill(victim, 'SIGKILL');
  let told = '';
  // Asked without pause: a worker is away for half a second.
  const deadline = performance.now() + 20_000;
  while (told === '' && performance.now() < deadline) {
    const answer = await admin('/readyz');
    if (answer.status === 503) told = await answer.text();
  }
  expect(JSON.parse(told)).toMatchObject({
    status: 'not ready',
    parts: [
      { name: 'api', ready: true },
      { name: 'certs', ready: true },
      {
        name: 'gateway',
        ready: false,
        reason: expect.stringMatching(
          /^1 of 2 workers do not serve: worker [01] (is starting|ended)/,
        ),
      },
      { name: 'controller', ready: true },
    ],
  });
  expect((await admin('/healthz')).status).toBe(200);
  await until(async () => (await admin('/readyz')).status === 200);
  expect(workerPids()).not.toContain(victim);
  expect(await restarts()).toBe(1);
});

test('/readyz says which worker hangs, though its process is there', async () => {
  const [victim = 0] = workerPids();
  await reported();
  process.kill(victim, 'SIGSTOP');
  let told = '';
  await until(async () => {
    const answer = await admin('/readyz');
    told = await answer.text();
    return answer.status === 503;
  });
  expect(told).toMatch(/worker [01] has reported nothing for \d+ s/);
  process.kill(victim, 'SIGCONT');
  await until(async () => (await admin('/readyz')).status === 200);
  expect(workerPids()).toContain(victim);
});

test('counters go on when a worker is asked to end, and lose nothing', async () => {
  const name = 'requests_total';
  const labels = { protocol: 'http1', class: '2xx' };
  const before = total(await reported(), name, labels);
  const [victim = 0] = workerPids();
  for (let count = 0; count < 20; count += 1) await podgate.request(host, '/healthz');
  process.kill(victim, 'SIGTERM');
  await until(() => !workerPids().includes(victim));
  await until(async () => total(await scrape(), name, labels) === before + 20);
});

test('without a token, and beyond loopback, /explain says no and what to set', async () => {
  const other = await Standalone.start({ env: { PODGATE_ADMIN_HOST: '0.0.0.0' } });
  const url = `http://127.0.0.1:${other.ports.admin}/explain?host=${host}`;
  const answer = await fetch(url, { headers: { authorization: 'Bearer ' } });
  expect(answer.status).toBe(403);
  expect(await answer.text()).toContain('PODGATE_ADMIN_TOKEN');
  await other.stopAndForget();
});

test('on loopback curl shows it to who is at the machine', async () => {
  const other = await Standalone.start();
  const url = `http://localhost:${other.ports.admin}/explain?host=${host}`;
  const told: unknown = JSON.parse(execFileSync('curl', ['-sf4', url], { encoding: 'utf8' }));
  expect(told).toMatchObject({ host });
  await other.stopAndForget();
});
