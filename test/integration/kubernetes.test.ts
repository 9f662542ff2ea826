import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createKubernetesRuntime } from '../../controller/runtime/kubernetes/runtime.ts';
import {
  exited,
  networksOf,
  observed,
  runtimeConforms,
  shellSpec,
  spec,
} from '../conformance/runtime.ts';
import { apiServerBehaves } from '../kubernetes/contract.ts';
import { ApiDouble } from '../kubernetes/api-double.ts';
import type { ClusterPlace } from '../kubernetes/conformance.ts';
import { apiOf, clusterPlace, kubeletKind, ports } from '../kubernetes/conformance.ts';
import type { Misbehaviour } from '../kubernetes/kubelet.ts';

let double: ApiDouble;
const places: ClusterPlace[] = [];

beforeAll(async () => {
  double = await ApiDouble.start();
});
afterAll(() => double.stop());
afterEach(async () => {
  for (const place of places.splice(0)) await place.clean();
});

runtimeConforms('runtime kubernetes', kubeletKind, () => clusterPlace(double.config()));
apiServerBehaves('the double of an API server', () => double.config());

const wait = { timeout: 20_000, interval: 5 };
const hello = (change = {}) =>
  spec({ image: kubeletKind.images.hello, networks: networksOf('default'), ...change });

async function withStatuses(misbehave?: () => Misbehaviour | undefined) {
  const options = { statusesOnly: true, ...(misbehave ? { misbehave } : {}) };
  const place = await clusterPlace(double.config(), options);
  places.push(place);
  return place.open();
}

describe('what a cluster does to a pod is told in words', () => {
  const stays: [string, Misbehaviour, string][] = [
    [
      'no node has room',
      { kind: 'unschedulable', message: '0/3 nodes are available: 3 Insufficient memory.' },
      'No node has enough memory left for it: 0/3 nodes are available: 3 Insufficient memory.',
    ],
    [
      'a registry that does not answer',
      { kind: 'waiting', reason: 'ImagePullBackOff', message: 'dial tcp: i/o timeout' },
      'Image example/hello cannot be fetched yet: dial tcp: i/o timeout',
    ],
  ];
  test.each(stays)('%s: it stays starting', async (_name, wrong, message) => {
    const runtime = await withStatuses(() => wrong);
    await runtime.start(hello());
    await vi.waitFor(async () => {
      expect(await observed(runtime)).toMatchObject({ phase: 'starting', end: null, message });
    }, wait);
    runtime.close();
  });

  const ends: [string, Misbehaviour, object][] = [
    [
      'an image that the registry does not have',
      { kind: 'waiting', reason: 'ErrImagePull', message: 'manifest unknown' },
      { by: 'refused', message: 'Image example/hello cannot be fetched: manifest unknown' },
    ],
    [
      'more memory than its limit',
      { kind: 'terminated', reason: 'OOMKilled', exitCode: 137 },
      { by: 'itself', exitCode: 137, message: expect.stringContaining('512 MiB') },
    ],
    [
      'an eviction',
      { kind: 'failed', reason: 'Evicted', message: 'The node was low on memory.' },
      { by: 'itself', message: 'It was evicted from its node: The node was low on memory.' },
    ],
    [
      'a node that is lost',
      { kind: 'failed', reason: 'NodeLost', message: '' },
      { by: 'itself', message: 'Its node does not answer.' },
    ],
  ];
  test.each(ends)('%s ends it', async (_name, wrong, end) => {
    const runtime = await withStatuses(() => wrong);
    await runtime.start(hello());
    expect((await exited(runtime, wait)).end).toMatchObject(end);
    runtime.close();
  });

  test('its events are notes', async () => {
    const runtime = await withStatuses();
    await runtime.start(hello());
    await vi.waitFor(async () => {
      const { notes = [] } = await observed(runtime);
      expect(notes.map(({ text }) => text)).toContain('Scheduled: assigned to node-1');
    }, wait);
    runtime.close();
  });
});

const listens = (runtime: Awaited<ReturnType<typeof withStatuses>>): Promise<void> =>
  vi.waitFor(async () => {
    expect((await observed(runtime)).addresses['default']?.listening).toBe(true);
  }, wait);

describe('an API server on a bad day', () => {
  test('429 is waited for as long as it says, and 5xx and cut connections are tried again', async () => {
    const runtime = await withStatuses();
    // One may be met by the node, or by the watch of events.
    double.faults.tooMany = { count: 4, retryAfterSeconds: 1 };
    double.faults.broken = { count: 2, code: 503 };
    double.faults.cut = 1;
    const began = performance.now();
    await runtime.start(hello());
    expect(performance.now() - began).toBeGreaterThan(990);
    await listens(runtime);
    runtime.close();
  });

  test('watches that are cut, and versions that have expired, lose nothing', async () => {
    const runtime = await withStatuses();
    double.store.expire();
    double.faults.cutWatches();
    await runtime.start(hello());
    await listens(runtime);
    runtime.close();
  });

  test('readiness is known within 100 ms of when the API server says so', async () => {
    const runtime = await withStatuses();
    const delays: number[] = [];
    double.store.changes.on('change', ({ object }: { object: object }) => {
      if (!JSON.stringify(object).includes('"type":"Ready","status":"True"')) return;
      const saidMs = performance.now();
      void listens(runtime).then(() => delays.push(performance.now() - saidMs));
    });
    await runtime.start(hello());
    await vi.waitFor(() => expect(delays.length).toBeGreaterThan(0), wait);
    double.store.changes.removeAllListeners('change');
    expect(Math.min(...delays)).toBeLessThan(250);
    runtime.close();
  });
});

test('the last lines of a program that crashed are known though its log cannot be had', async () => {
  const allowed = new Set<string>();
  double.users.set('blind', { forbidden: allowed });
  const place = await clusterPlace(double.config(), { as: double.config('blind') });
  places.push(place);
  const runtime = await place.open();
  allowed.add('get pods/log');
  const image = kubeletKind.images.shell;
  await runtime.start(shellSpec('echo "no such table: users" >&2; exit 3', { image }));
  const { end } = await exited(runtime, wait);
  expect(end).toMatchObject({ by: 'itself', exitCode: 3, message: 'no such table: users' });
  runtime.close();
});

test("a pod's life takes ten requests, and its stop one look at its log", async () => {
  double.users.set('counted', { forbidden: new Set() });
  const place = await clusterPlace(double.config(), { as: double.config('counted') });
  places.push(place);
  const runtime = await place.open();
  const asked = (): string[] => {
    const own = double.requests.splice(0).filter(({ token }) => token === 'counted');
    return own.map(({ method, path }) => `${method} ${path.replace(/.*namespaces\/[^/]*\//, '')}`);
  };
  const before: string[] = [];
  // Each collection is listed and watched.
  await vi.waitFor(() => {
    before.push(...asked().filter((one) => one.startsWith('GET ')));
    expect(before.toSorted()).toEqual(['GET events', 'GET events', 'GET pods', 'GET pods']);
  }, wait);
  await runtime.start(hello());
  await listens(runtime);
  const name = expect.stringMatching(/^[A-Z]+ [a-z]+\/pod-\w+$/);
  expect(asked().toSorted()).toEqual([name, name, name, name, 'POST pods']);
  await runtime.stop('default/pod', 5_000);
  const [first = '', second = '', ...others] = asked().toSorted();
  expect([first, second, others]).toEqual([
    expect.stringMatching(/^DELETE pods\/pod-\w+$/),
    expect.stringMatching(/^GET pods\/pod-\w+\/log$/),
    [],
  ]);
  await runtime.remove('default/pod');
  const gone = ['DELETE networkpolicies', 'DELETE secrets', 'DELETE services'];
  expect(asked().toSorted()).toEqual(gone);
  runtime.close();
});

test('a pod ends at once while many launches wait for their turn at the API server', async () => {
  double.users.set('busy', { forbidden: new Set() });
  const options = { statusesOnly: true, as: double.config('busy') };
  const place = await clusterPlace(double.config(), options);
  places.push(place);
  const runtime = await place.open();
  await runtime.start(hello());
  await listens(runtime);
  // Each has five requests to make, the first two of which it makes at once.
  const keys = Array.from({ length: 150 }, (_, index) => `default/other${index}`);
  const launches = keys.map((key) => runtime.start(hello({ key })));
  await runtime.stop('default/pod', 5_000);
  await runtime.remove('default/pod');
  const before = double.requests.filter(({ token }) => token === 'busy').length;
  expect(before).toBeLessThan(250);
  await Promise.all(launches);
  runtime.close();
});

test('a node whose clock is behind loses no output, doubles none, and its times are put right', async () => {
  const place = await clusterPlace(double.config(), { behindMs: 90_000 });
  places.push(place);
  const runtime = await place.open();
  const image = kubeletKind.images.shell;
  const startMs = Date.now();
  const script = 'for i in 1 2 3 4 5 6 7 8 9 10; do echo "line $i"; sleep 0.3; done; exit 3';
  await runtime.start(shellSpec(script, { image }));
  const lines = Array.from({ length: 10 }, (_, index) => `line ${index + 1}\n`);
  for (const count of [2, 4, 6, 8])
    await vi.waitFor(async () => {
      const text = await runtime.logs('default/pod');
      expect(lines.join('').startsWith(text)).toBe(true);
      expect(text).toContain(lines[count]);
    }, wait);
  const { startedAtMs, end } = await exited(runtime, wait);
  expect(await runtime.logs('default/pod')).toBe(lines.join(''));
  expect(await runtime.logs('default/pod', { sinceMs: startMs - 1_000 })).toBe(lines.join(''));
  expect(await runtime.logs('default/pod', { sinceMs: Date.now() + 1_000 })).toBe('');
  // The API server tells seconds.
  expect(startedAtMs).toBeGreaterThan(startMs - 1_001);
  expect(end?.endedAtMs).toBeGreaterThan(startMs + 1_000);
  expect(end?.endedAtMs).toBeLessThan(Date.now() + 1_000);
  runtime.close();
});

test('tenants with namespaces of their own may have pods of the same name', async () => {
  const place = await clusterPlace(double.config(), {
    statusesOnly: true,
    namespaces: 'podgate-{test}-{tenant}',
  });
  places.push(place);
  const runtime = await place.open();
  await runtime.start(hello());
  await runtime.start(hello({ key: 'other/pod', tenant: 'other' }));
  await listens(runtime);
  const other = place.namespace.replace(/default$/, 'other');
  const found = double.store.list('pods').map(({ metadata }) => metadata.namespace);
  expect(found).toEqual(expect.arrayContaining([place.namespace, other]));
  expect(await observed(runtime, 'other/pod')).toMatchObject({ phase: 'starting' });
  await runtime.remove('other/pod');
  expect(double.store.list('secrets').filter((one) => one.metadata.namespace === other)).toEqual(
    [],
  );
  expect(await runtime.list()).toEqual(['default/pod']);
  runtime.close();
});

test('a right that is missing is named at the start', async () => {
  double.users.set('weak', { forbidden: new Set(['delete pods', 'get pods/log']) });
  const options = { ...ports, config: double.config('weak'), dataDir: '/nonexistent' };
  await expect(
    createKubernetesRuntime({ ...options, namespace: 'somewhere', installation: 'test' }),
  ).rejects.toThrow('Kubernetes does not let us delete pods, get pods/log in namespace somewhere');
});

test('the environment is in no Pod, and what is not ours is not touched', async () => {
  const place = await clusterPlace(double.config(), { statusesOnly: true });
  places.push(place);
  const runtime = await place.open();
  await runtime.start(hello({ environment: { PASSWORD: 'hush-hush' } }));
  const pods = JSON.stringify(double.store.list('pods'));
  expect(pods).not.toContain('hush-hush');
  expect(pods).toContain('"automountServiceAccountToken":false');
  const secret = double.store.list('secrets').at(-1);
  const { name = '', namespace = '' } = secret?.metadata ?? {};
  await runtime.remove('default/pod');
  expect(double.store.get('secrets', namespace, name)).toBeUndefined();
  const foreign = { apiVersion: 'v1', kind: 'Secret', metadata: { name } };
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  await apiOf(double.config()).call({ method: 'POST', path, body: foreign });
  await runtime.start(hello());
  const { end } = await exited(runtime, wait);
  expect(end).toMatchObject({ by: 'refused', message: expect.stringContaining("not Podgate's") });
  expect(double.store.get('secrets', namespace, name)).toMatchObject({ metadata: { name } });
  runtime.close();
});
