import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Certificate } from '#contracts/certificate.ts';
import { certificates } from '#contracts/certificate.ts';
import { certificateStates } from '#contracts/certificate-state.ts';
import type { DesiredPod } from '#contracts/pod.ts';
import { desiredPods } from '#contracts/pod.ts';
import type { Sealer } from '#contracts/sealer.ts';
import { zSealed } from '#contracts/sealer.ts';
import type { Store } from '#contracts/store.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryLeases } from '#adapters/memory/leases.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { openSqliteStore } from '#adapters/sqlite/store.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import type { Certs } from './certs.ts';
import { startCerts } from './certs.ts';
import type { ManagerPorts } from './manager.ts';
import { newState } from './orders/records.ts';

const dayMs = 24 * 60 * 60 * 1000;
const sealed = zSealed.parse('v1.k.n.b');
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

let folder: string;
let sealer: Sealer;
let clock: ManualClock;
let ports: ManagerPorts;
const running: Certs[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podgate-manager-'));
  sealer = openSealer(join(folder, 'secret.key'));
  clock = new ManualClock();
  const leases = new MemoryLeases(clock);
  ports = { store: new MemoryStore(), sealer, clock, random: systemRandom, leases, log: quiet };
});
afterEach(async () => {
  for (const certs of running.splice(0)) await certs.stop();
  rmSync(folder, { recursive: true });
});

async function start(given: ManagerPorts = ports, holder = 'one'): Promise<Certs> {
  const certs = await startCerts(given, {
    site: { domain: 'example.org', tenant: 'default' },
    holder,
    others: undefined,
  });
  running.push(certs);
  return certs;
}

const pod = (podId: string, networks = ['default']): DesiredPod => ({
  tenant: 'default',
  podId,
  owner: 'admin',
  description: '',
  image: 'podgate/hello',
  command: null,
  arguments: null,
  environment: sealed,
  networking: Object.fromEntries(
    networks.map((name) => [name, { protocol: 'http' as const, port: 80 }]),
  ),
  resources: { cpu_request: 1, cpu_limit: 1, mem_request: 1, mem_limit: 1, gpus: 0 },
  computeQueue: 'default',
  timeToStopDefault: -1,
  timeToStopInstance: null,
  requested: 'ON',
  generation: 1,
  generationCause: 'create',
  permissions: {},
  credentials: { userUsername: podId, userPassword: sealed },
  modifiedFields: [],
  actions: [],
  createdAtMs: 0,
  updatedAtMs: 0,
});

const stored = async (id: string, store: Store = ports.store): Promise<Certificate | undefined> =>
  (await certificates(store).get(id))?.value;

/** The certificate `id`, as soon as it is one that `fits`. */
const eventually = (id: string, fits: (found: Certificate) => boolean = () => true) =>
  vi.waitFor(
    async () => {
      const found = await stored(id);
      if (!found || !fits(found)) throw new Error(`${id} is not there`);
      return found;
    },
    { timeout: 10_000, interval: 2 },
  );

const gone = (id: string) =>
  vi.waitFor(async () => expect(await stored(id)).toBeUndefined(), {
    timeout: 10_000,
    interval: 2,
  });

test('pods that were desired while nobody watched get their certificates', async () => {
  await desiredPods(ports.store).put('default/a', pod('a'), 'absent');
  await start();
  await eventually('pod/default/a');
});

test('a pod that is desired while it starts is not missed', async () => {
  const starting = start();
  for (let turn = 0; turn < 20; turn += 1) {
    await desiredPods(ports.store).put(`default/a${turn}`, pod(`a${turn}`), 'absent');
    await new Promise((resolve) => setImmediate(resolve));
  }
  await starting;
  for (let turn = 0; turn < 20; turn += 1) await eventually(`pod/default/a${turn}`);
});

test('a pod that was deleted while nobody watched loses its certificate', async () => {
  const first = await start();
  await desiredPods(ports.store).put('default/a', pod('a'), 'absent');
  await eventually('pod/default/a');
  await first.stop();
  await desiredPods(ports.store).remove('default/a', 'anything');
  await start();
  await gone('pod/default/a');
  expect(await stored('domain')).toBeDefined();
});

test('a state that is left of a deleted pod is removed, readable or not', async () => {
  const left = ['pod/default/left', 'pod/default/odd'] as const;
  await certificateStates(ports.store).put(left[0], newState('own'), 'absent');
  await ports.store.put('certificate-states', { id: left[1], value: 'odd' }, 'absent');
  await start();
  const none = { timeout: 10_000, interval: 2 };
  const states = () => certificateStates(ports.store).ids();
  await vi.waitFor(async () => expect(await states()).not.toContain(left[0]), none);
  await vi.waitFor(async () => expect(await states()).not.toContain(left[1]), none);
  // One that another program writes when all is done.
  await certificateStates(ports.store).put(left[0], newState('own'), 'absent');
  await clock.advance(60_000);
  await vi.waitFor(async () => expect(await states()).not.toContain(left[0]), none);
});

test('a pod that becomes local only loses its certificate', async () => {
  await start();
  await desiredPods(ports.store).put('default/a', pod('a'), 'absent');
  await eventually('pod/default/a');
  const local = { default: { protocol: 'local_only' as const, port: 80 } };
  await desiredPods(ports.store).put('default/a', { ...pod('a'), networking: local }, 'anything');
  await gone('pod/default/a');
});

test('a change that leaves the hosts alone keeps the certificate', async () => {
  await start();
  const pods = desiredPods(ports.store);
  await pods.put('default/a', pod('a'), 'absent');
  const before = await eventually('pod/default/a');
  await pods.put('default/a', { ...pod('a'), description: 'new' }, 'anything');
  await pods.put('default/b', pod('b'), 'absent');
  await eventually('pod/default/b');
  expect(await stored('pod/default/a')).toEqual(before);
});

test('it is ready until its own certificates end', async () => {
  const certs = await start();
  expect(certs.problem()).toBeUndefined();
  await certs.stop();
  await clock.advance(31 * dayMs);
  expect(certs.problem()).toBe('no valid certificate for the domain and the wildcard');
});

test('while another holds the lease it waits, and takes over when that one is gone', async () => {
  const { leases } = ports;
  await leases.acquire('certs', 'another', 30_000);
  let started = false;
  const starting = start().then(() => (started = true));
  await clock.advance(29_000);
  expect(started).toBe(false);
  expect(await stored('domain')).toBeUndefined();
  await clock.advance(2_000);
  await vi.waitFor(async () => {
    await clock.advance(500);
    expect(started).toBe(true);
  });
  await starting;
  const lease = await leases.acquire('certs', 'another', 30_000);
  await desiredPods(ports.store).put('default/a', pod('a'), 'absent');
  await clock.advance(1_000);
  expect(await stored('pod/default/a')).toBeUndefined();
  if (!lease) throw new Error('the lease was kept');
  await leases.release(lease);
  await clock.advance(500);
  await eventually('pod/default/a');
});

test('two at once issue each certificate once', async () => {
  // On the real clock: a lease must not run out while the real cryptography works.
  const info = vi.fn<(fields: object, message: string) => void>();
  const shared = {
    ...ports,
    clock: systemClock,
    leases: new MemoryLeases(systemClock),
    log: { ...quiet, info },
  };
  await Promise.all([start(shared, 'one'), start(shared, 'two')]);
  const ids = ['default/a', 'default/b', 'default/c'];
  for (const id of ids) await desiredPods(ports.store).put(id, pod(id.slice(8)), 'absent');
  for (const id of ids) await eventually(`pod/${id}`);
  // Long enough for the one that found the lease held to look again.
  await systemClock.sleep(700);
  const issued = info.mock.calls.map(([fields]) => String(Reflect.get(fields, 'certificate')));
  const wanted = ['domain', 'wildcard', ...ids.map((id) => `pod/${id}`)];
  expect(issued.toSorted()).toEqual(wanted.toSorted());
});

test('what another issued just before the lease was taken is kept', async () => {
  const first = await start();
  const valid = await stored('wildcard');
  await first.stop();
  if (!valid) throw new Error('no wildcard');
  await certificates(ports.store).remove('wildcard', 'anything');
  const acquire = vi.fn<typeof ports.leases.acquire>(async (...terms) => {
    await certificates(ports.store).put('wildcard', valid, 'anything');
    return ports.leases.acquire(...terms);
  });
  const leases: ManagerPorts['leases'] = {
    acquire,
    renew: (...terms) => ports.leases.renew(...terms),
    release: (lease) => ports.leases.release(lease),
  };
  await start({ ...ports, leases });
  expect(acquire).toHaveBeenCalled();
  expect(await stored('wildcard')).toEqual(valid);
});

test('one that was fenced off while it ordered does not overwrite the newer one', async () => {
  await start();
  const lease = await ports.leases.acquire('other', 'x', 1);
  const token = (lease?.token ?? 0) + 1_000;
  await ports.store.put('notes', { id: 'x', value: 1 }, 'anything', { lease: 'certs', token });
  await desiredPods(ports.store).put('default/a', pod('a'), 'absent');
  await clock.advance(1_000);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await stored('pod/default/a')).toBeUndefined();
});

test('a certificate that does not parse, or whose key is lost, is replaced', async () => {
  const first = await start();
  const before = await stored('wildcard');
  await first.stop();
  if (!before) throw new Error('no wildcard');
  await ports.store.put('certificates', { id: 'domain', value: { hosts: 7 } }, 'anything');
  const lost = { ...before, key: sealer.seal('x', 'another place') };
  await certificates(ports.store).put('wildcard', lost, 'anything');
  await start();
  expect((await stored('domain'))?.hosts).toEqual(['example.org']);
  expect((await stored('wildcard'))?.chain).not.toBe(before.chain);
});

test('a pod that does not parse keeps its certificate and holds up nobody', async () => {
  await start();
  await desiredPods(ports.store).put('default/a', pod('a'), 'absent');
  const before = await eventually('pod/default/a');
  await ports.store.put('pods', { id: 'default/a', value: 'nonsense' }, 'anything');
  await desiredPods(ports.store).put('default/b', pod('b'), 'absent');
  await eventually('pod/default/b');
  await clock.advance(120_000);
  expect(await stored('pod/default/a')).toEqual(before);
});

test('a write that fails is tried again', async () => {
  let broken = true;
  const store = new MemoryStore();
  const put = store.put.bind(store);
  store.put = async (collection, document, ...rest) => {
    if (broken && document.id === 'pod/default/a') throw new Error('disk full');
    return put(collection, document, ...rest);
  };
  ports = { ...ports, store };
  const error = vi.fn<(fields: object, message: string) => void>();
  await start({ ...ports, log: { ...quiet, error } });
  await desiredPods(store).put('default/a', pod('a'), 'absent');
  await vi.waitFor(() => expect(error).toHaveBeenCalled());
  broken = false;
  await clock.advance(61_000);
  await eventually('pod/default/a');
});

test('each of many pods is renewed within its life, not all at the same time', async () => {
  await start();
  const ids = Array.from({ length: 20 }, (_, index) => `default/p${index}`);
  for (const id of ids) await desiredPods(ports.store).put(id, pod(id.slice(8)), 'absent');
  const plans: number[] = [];
  for (const id of ids) {
    const { notBeforeMs, notAfterMs, renewAtMs } = await eventually(`pod/${id}`);
    expect(renewAtMs).toBeGreaterThan((notBeforeMs + notAfterMs) / 2);
    expect(renewAtMs).toBeLessThan(notAfterMs - 4 * dayMs);
    plans.push(renewAtMs);
  }
  expect(Math.max(...plans) - Math.min(...plans)).toBeGreaterThan(dayMs);
});

test('on a real store a new pod has its certificate within 50 ms, and it outlives the process', async () => {
  const file = join(folder, 'podgate.db');
  let store = openSqliteStore(file);
  const real = (): ManagerPorts => ({
    ...ports,
    store,
    clock: systemClock,
    leases: new MemoryLeases(systemClock, store.newestToken()),
  });
  const first = await start(real());
  const watched = certificates(store).watch(AbortSignal.timeout(20_000))[Symbol.asyncIterator]();
  const tookMs: number[] = [];
  for (let turn = 0; turn < 15; turn += 1) {
    const startMs = performance.now();
    await desiredPods(store).put(`default/p${turn}`, pod(`p${turn}`, ['default', 'db']), 'absent');
    expect((await watched.next()).value).toMatchObject({ id: `pod/default/p${turn}` });
    tookMs.push(performance.now() - startMs);
  }
  // The median: this machine has other things to do as well.
  expect(tookMs.toSorted((a, b) => a - b)[7]).toBeLessThan(50);
  await first.stop();
  const before = await stored('pod/default/p3', store);
  store.close();
  store = openSqliteStore(file);
  const second = await start(real());
  expect(second.rootPem).toBe(first.rootPem);
  expect(await stored('pod/default/p3', store)).toEqual(before);
  expect(new X509Certificate(before?.chain ?? '').subjectAltName).toBe(
    'DNS:p3-db.pods.example.org, DNS:p3.pods.example.org',
  );
  await second.stop();
  store.close();
}, 30_000);

test('stopping ends everything it does', async () => {
  const certs = await start();
  await certs.stop();
  await desiredPods(ports.store).put('default/late', pod('late'), 'absent');
  await clock.advance(120_000);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await stored('pod/default/late')).toBeUndefined();
});
