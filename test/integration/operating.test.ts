import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
