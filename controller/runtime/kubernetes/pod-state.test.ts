import { expect, test } from 'vitest';
import { stateOf, zPod } from './pod-state.ts';

const at = '2026-01-01T00:00:00Z';
const terms = { memoryLimitMi: 512, nowMs: 0 };

const podOf = (status: object, metadata: object = {}) =>
  zPod.parse({
    metadata: {
      name: 'pod',
      namespace: 'pods',
      uid: '1',
      resourceVersion: '1',
      creationTimestamp: at,
      ...metadata,
    },
    spec: { nodeName: 'node-1', containers: [{ image: 'example.org/app:1' }] },
    status,
  });

const running = { state: { running: { startedAt: at } }, ready: true };
const terminated = {
  state: { terminated: { exitCode: 143, reason: 'Error', startedAt: at, finishedAt: at } },
  ready: false,
};

test.each([
  [
    'its node is shut down',
    'Terminated',
    'Pod was terminated in response to imminent node shutdown.',
    'its node was shut down (Pod was terminated in response to imminent node shutdown.)',
  ],
  [
    'its node needs room for a critical pod',
    'Preempting',
    'Preempted in order to admit critical pod',
    'it had to make room for a more important pod (Preempted in order to admit critical pod)',
  ],
])('a pod is not to blame when %s, however its program ended', (_name, reason, message, want) => {
  for (const containerStatuses of [[terminated], []]) {
    const { end } = stateOf(podOf({ phase: 'Failed', reason, message, containerStatuses }), terms);
    expect(end).toMatchObject({ by: 'lost', message: want });
  }
});

test('what a node does not admit, or has too little left for, is a failure of the pod', () => {
  for (const reason of ['NodeShutdown', 'Evicted', 'OutOfcpu']) {
    const { end } = stateOf(podOf({ phase: 'Failed', reason, message: 'no' }), terms);
    expect(end).toMatchObject({ by: 'itself', exitCode: null });
  }
});

test.each([
  [
    'EvictionByEvictionAPI',
    'Eviction API: evicting',
    'it had to leave its node, as when one is drained',
  ],
  ['PreemptionByScheduler', 'preempting', 'it had to make room for a more important pod'],
  ['DeletionByTaintManager', 'deleting', 'its node does not answer, or was closed to it'],
  ['SomethingNew', 'because', 'the cluster ended it'],
])('a pod that is deleted by %s tells it while it ends', (reason, message, why) => {
  const condition = { type: 'DisruptionTarget', status: 'True', reason, message };
  const status = { phase: 'Running', containerStatuses: [running], conditions: [condition] };
  const leaving = stateOf(podOf(status, { deletionTimestamp: at }), terms);
  expect(leaving).toMatchObject({ end: undefined, phase: 'running' });
  expect(leaving.message).toBe(`It ends and starts anew: ${why} (${message}).`);
  const asked = { ...condition, status: 'False' };
  const spared = podOf({ ...status, conditions: [asked] }, { deletionTimestamp: at });
  expect(stateOf(spared, terms).message).toBeUndefined();
});

/** As a kubelet of 1.34 with containerd 1.6 says it. */
const begin =
  'Back-off pulling image "example.org/app:1": ErrImagePull: failed to pull and unpack image ' +
  '"example.org/app:1": failed to resolve reference "example.org/app:1": ';
const answer = 'pulling from host example.org failed with status code [manifests 1]: ';
const request = 'failed to do request: Head "https://example.org/v2/app/manifests/1": dial tcp';

test.each([
  ['has no such image', 'example.org/app:1: not found', 'refused'],
  ['wants to know who asks', `${answer}401 Unauthorized`, 'refused'],
  ['does not let us', `${answer}403 Forbidden`, 'refused'],
  ['is nowhere', `${request}: lookup example.org on 192.0.2.1:53: no such host`, 'refused'],
  ['has no time', `${answer}429 Too Many Requests`, undefined],
  ['is broken', `${answer}503 Service Unavailable`, undefined],
  ['does not answer', `${request} 192.0.2.1:443: connect: connection refused`, undefined],
  ['has no name now', `${request}: lookup example.org: server misbehaving`, undefined],
])('an image whose registry %s: %s', (_name, said, by) => {
  const waiting = { reason: 'ImagePullBackOff', message: `${begin}${said}` };
  const containerStatuses = [{ ready: false, state: { waiting } }];
  const { end, message } = stateOf(podOf({ phase: 'Pending', containerStatuses }), terms);
  expect(end?.by).toBe(by);
  const words = by ? 'cannot be fetched: ' : 'cannot be fetched yet: ';
  expect(end?.message ?? message).toBe(`Image example.org/app:1 ${words}${begin}${said}`);
});

const ran = (startedAt: string, finishedAt: string) => ({
  phase: 'Failed',
  containerStatuses: [
    { state: { terminated: { exitCode: 1, startedAt, finishedAt } }, ready: false },
  ],
});

test('times of a node whose clock is behind begin when its Pod was made', () => {
  const createdMs = Date.parse(at);
  const behind = podOf(ran('2025-12-31T23:58:30Z', '2025-12-31T23:58:37Z'));
  expect(stateOf(behind, terms)).toMatchObject({
    startedAtMs: createdMs,
    end: { endedAtMs: createdMs + 7_000 },
  });
  const exact = podOf(ran('2026-01-01T00:00:02Z', '2026-01-01T00:00:09Z'));
  expect(stateOf(exact, terms)).toMatchObject({
    startedAtMs: createdMs + 2_000,
    end: { endedAtMs: createdMs + 9_000 },
  });
  // Nodes make this time up.
  const madeUp = podOf(ran('1970-01-01T00:00:00Z', '2026-01-01T00:00:09Z'));
  expect(stateOf(madeUp, terms).end).toMatchObject({ endedAtMs: createdMs + 9_000 });
});
