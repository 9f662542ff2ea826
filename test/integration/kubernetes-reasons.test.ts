import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { MemoryLeases } from '#adapters/memory/leases.ts';
import { MemoryLogExchange } from '#adapters/memory/log-exchange.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import type { DesiredPod } from '#contracts/pod.ts';
import { desiredPods, podStatuses, sealContext } from '#contracts/pod.ts';
import { presentPod } from '../../api/pods/present.ts';
import { startController } from '../../controller/controller.ts';
import type { Runtime } from '../../controller/runtime/runtime.ts';
import { ApiDouble } from '../kubernetes/api-double.ts';
import type { ClusterPlace } from '../kubernetes/conformance.ts';
import { apiOf, clusterPlace, kubeletKind, ports } from '../kubernetes/conformance.ts';
import type { Misbehaviour } from '../kubernetes/kubelet.ts';
import { desiredPod } from '../pod-examples.ts';

/** What a user reads in the API of a pod that a cluster does not run. */

const key = 'default/mypod';
const wait = { timeout: 20_000, interval: 10 };
let double: ApiDouble;
const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  double = await ApiDouble.start();
});
afterAll(() => double.stop());
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

interface World {
  readonly place: ClusterPlace;
  readonly runtime: Runtime;
  reads(this: void, words: object): Promise<void>;
}

/** A controller with one pod, on a node that does so with it. */
async function world(
  change: Partial<DesiredPod>,
  wrong?: Misbehaviour,
  statusesOnly = true,
): Promise<World> {
  const misbehave = wrong ? { misbehave: () => wrong } : {};
  const place = await clusterPlace(double.config(), { statusesOnly, ...misbehave });
  cleanups.push(() => place.clean());
  const folder = mkdtempSync(join(tmpdir(), 'podgate-reasons-'));
  cleanups.push(async () => rmSync(folder, { recursive: true, force: true }));
  const store = new MemoryStore();
  const sealer = openSealer(join(folder, 'key'));
  const runtime = await place.open();
  cleanups.push(async () => runtime.close());
  const controller = startController(
    {
      ...ports,
      store,
      sealer,
      runtime,
      routes: new MemoryRouteBus(),
      leases: new MemoryLeases(ports.clock),
      logs: new MemoryLogExchange(),
    },
    {
      site: { domain: 'example.org', tenant: 'default' },
      holder: 'test',
      registries: new Map(),
    },
  );
  cleanups.push(() => controller.stop());
  const pod = desiredPod({
    image: kubeletKind.images.hello,
    environment: sealer.seal('{}', sealContext.environment(key)),
    credentials: {
      userUsername: 'mypod',
      userPassword: sealer.seal('s3cret', sealContext.credentials(key)),
    },
    timeToStopDefault: -1,
    ...change,
  });
  await desiredPods(store).put(key, pod, 'anything');
  const reads = (words: object): Promise<void> =>
    vi.waitFor(async () => {
      const status = (await podStatuses(store).get(key))?.value;
      const shown = presentPod(pod, status, { domain: 'example.org', environment: {} });
      const actions = status?.actions.map(({ text }) => text);
      const { message } = shown.status_container as { message?: string };
      const failures = status?.failuresAtMs.length;
      expect({ status: shown.status, message, actions, failures }).toMatchObject(words);
    }, wait);
  return { place, runtime, reads };
}

const preempts = ' preemption: 0/3 nodes are available: 3 No preemption victims found.';

test.each<[string, Misbehaviour, string]>([
  [
    'too little of several resources',
    {
      kind: 'unschedulable',
      message: `0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory.${preempts}`,
    },
    'No node has enough CPU and memory left for it: ' +
      '0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory.',
  ],
  [
    'no GPU',
    { kind: 'unschedulable', message: '0/1 nodes are available: 1 Insufficient nvidia.com/gpu.' },
    'No node has enough GPUs left for it: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu.',
  ],
  [
    'no node of its queue',
    {
      kind: 'unschedulable',
      message: "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
    },
    'No node that can take it is of its compute queue: ' +
      "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
  ],
  [
    'a registry that does not answer',
    {
      kind: 'waiting',
      reason: 'ImagePullBackOff',
      message: 'Back-off pulling image "example/hello": dial tcp 192.0.2.1:443: i/o timeout',
    },
    'Image example/hello cannot be fetched yet: ' +
      'Back-off pulling image "example/hello": dial tcp 192.0.2.1:443: i/o timeout',
  ],
])('%s is told while it waits', async (_name, wrong, message) => {
  const { reads } = await world({}, wrong);
  await reads({ status: 'CREATING', message });
});

test.each<[string, Misbehaviour, string, string]>([
  [
    'an image that is nowhere',
    { kind: 'waiting', reason: 'ErrImagePull', message: 'example/hello:latest: not found' },
    'ERROR',
    'It cannot be started. Restart the pod to try again.\n' +
      'Image example/hello cannot be fetched: example/hello:latest: not found',
  ],
  [
    'more memory than its limit',
    { kind: 'terminated', reason: 'OOMKilled', exitCode: 137 },
    'CREATING',
    'The program ended with exit code 137; it starts again 1 s later.\n' +
      'It used more memory than its limit of 3072 MiB, so it was ended (OOMKilled).',
  ],
  [
    'an eviction',
    { kind: 'failed', reason: 'Evicted', message: 'The node was low on resource: memory.' },
    'CREATING',
    'The program could not go on; it starts again 1 s later.\n' +
      'It was evicted from its node: The node was low on resource: memory.',
  ],
  [
    'a node that does not admit it',
    { kind: 'failed', reason: 'OutOfcpu', message: 'Node did not have enough resource: cpu.' },
    'CREATING',
    'The program could not go on; it starts again 1 s later.\n' +
      'Its node gave it up (OutOfcpu): Node did not have enough resource: cpu.',
  ],
])('%s is told when it ends', async (_name, wrong, status, message) => {
  const { reads } = await world({}, wrong);
  await reads({ status, message });
});

test('of a program that crashes the exit code and its last lines are told', async () => {
  const image = kubeletKind.images.shell;
  const command = ['/bin/sh', '-c', 'echo begin; echo "no such table: users" >&2; exit 3'];
  const { reads } = await world({ image, command }, undefined, false);
  const lines = 'begin\nno such table: users';
  await reads({
    status: 'CREATING',
    message: `The program ended with exit code 3; it starts again 1 s later.\n${lines}`,
    actions: expect.arrayContaining([
      'Scheduled: assigned to node-1',
      'CREATING: The program ended with exit code 3; it starts again 1 s later.',
    ]),
  });
  await reads({ message: expect.stringContaining('it starts again 2 s later') });
});

test('a pod whose node is drained says so, keeps its last words and starts anew, without blame', async () => {
  const image = kubeletKind.images.shell;
  const script = 'trap "echo bye; exit 1" TERM; echo up; while :; do sleep 0.05; done';
  const { place, runtime, reads } = await world(
    { image, command: ['/bin/sh', '-c', script], networking: {} },
    undefined,
    false,
  );
  await reads({ status: 'AVAILABLE' });
  await vi.waitFor(async () => expect(await runtime.logs(key)).toContain('up'), wait);
  const [pod] = double.store
    .list('pods')
    .filter((one) => one.metadata.namespace === place.namespace);
  const metadata = { name: pod?.metadata.name, namespace: place.namespace };
  await apiOf(double.config()).call({
    method: 'POST',
    path: `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}/eviction`,
    body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata },
  });
  await reads({
    status: 'AVAILABLE',
    failures: 0,
    actions: expect.arrayContaining([
      'SPAWNER SETUP: Run 2: its last run was lost: it had to leave its node, ' +
        'as when one is drained (Eviction API: evicting).',
    ]),
  });
  await vi.waitFor(async () => {
    expect(await runtime.logs(key)).toMatch(/^up\n(?:Terminated\n)?bye\n--- run 2 ---\nup\n$/);
  }, wait);
});

test('a node that is lost, and a Pod that somebody else deletes, are told', async () => {
  const { place, reads } = await world({});
  await reads({ message: 'The program listens, but no gateway is there to lead clients to it.' });
  const api = apiOf(double.config());
  const [pod] = double.store
    .list('pods')
    .filter((one) => one.metadata.namespace === place.namespace);
  const path = `/api/v1/namespaces/${place.namespace}/pods/${pod?.metadata.name}`;
  const reason = 'NodeStatusUnknown';
  const conditions = [{ type: 'Ready', status: 'Unknown', reason }];
  await api.call({
    method: 'PATCH',
    path: `${path}/status`,
    contentType: 'application/merge-patch+json',
    body: { status: { conditions } },
  });
  await reads({ status: 'CREATING', message: 'Its node node-1 does not answer.' });
  await api.call({ method: 'DELETE', path, query: { gracePeriodSeconds: '0' } });
  await reads({
    actions: expect.arrayContaining([
      'SPAWNER SETUP: Run 2: its last run was lost: its Pod was deleted, and not by Podgate.',
    ]),
  });
});
