import type { DesiredPod } from '#contracts/pod.ts';
import { desiredPods, podStatuses } from '#contracts/pod.ts';
import type { Store } from '#contracts/store.ts';
import { WriteConflict } from '#contracts/store.ts';
import { actionOf, nextRun, withAction } from '../../api/pods/edit.ts';
import { retrying } from '../../api/retrying.ts';
import { desiredPod } from '../pod-examples.ts';
import type { Life } from './life.ts';
import type { Plant } from './plants.ts';
import type { Behaviour } from './pod-place.ts';
import { behaviours } from './pod-place.ts';
import { keyOf, openSealer } from './pods.ts';
import type { SeededRandom } from './random.ts';

export const podsCount = 20;
export const operationsCount = 200;
/** Creates come first, then the rest, until then. */
const createdWithinMs = 8_000;
export const operationsMs = 60_000;

const kinds = ['create', 'start', 'stop', 'restart', 'update', 'delete'] as const;
/** Pods are mostly there. */
const laterKinds = [
  'start',
  'stop',
  'restart',
  'update',
  'start',
  'stop',
  'restart',
  'update',
  'create',
  'delete',
] as const;
type Kind = (typeof kinds)[number];

export interface Operation {
  readonly atMs: number;
  readonly kind: Kind;
  readonly podId: string;
  /** Which api is asked. */
  readonly api: number;
  /** As the request's id it stands in the action log of the pod. */
  readonly tag: string;
  /** What a created pod is to do; what an update says. */
  readonly behaviour: Behaviour;
  readonly timeToStopSeconds: number;
  readonly wordy: string;
}

/** What is asked of the apis, in order of time: now and then the same pod by several at once. */
export function planOperations(random: SeededRandom, apis: number): Operation[] {
  const operations: Operation[] = [];
  const add = (atMs: number, kind: Kind, podId: string): void => {
    const common = random.chance(0.7) ? 'serve' : random.pick(behaviours);
    operations.push({
      atMs,
      kind,
      podId,
      api: random.whole(0, apis - 1),
      tag: `op${operations.length}`,
      behaviour: common,
      timeToStopSeconds: random.chance(0.1) ? random.whole(10, 40) : -1,
      wordy: `said ${operations.length}`,
    });
  };
  for (let number = 0; number < podsCount; number += 1)
    add(random.between(0, createdWithinMs), 'create', `pod${number}`);
  while (operations.length < operationsCount) {
    const atMs = random.between(2_000, operationsMs);
    const podId = `pod${random.whole(0, podsCount - 1)}`;
    const together = random.chance(0.15) ? random.whole(2, 4) : 1;
    for (let one = 0; one < together && operations.length < operationsCount; one += 1)
      add(atMs + random.between(0, 5), random.pick(laterKinds), podId);
  }
  return operations.toSorted((a, b) => a.atMs - b.atMs);
}

/** What became of the pods that were made, as far as their users were told. */
export class Promises {
  /** By the tag that made the pod. */
  readonly made = new Map<string, { readonly key: string; readonly accepted: Set<string> }>();
  /** Pods that somebody tried to delete, whatever came of it. */
  readonly condemned = new Set<string>();
  done = 0;
  refused = 0;
  unknown = 0;

  /** `origin`: the tag that made the pod. */
  accept(key: string, origin: string, tag: string): void {
    const pod = this.made.get(origin) ?? { key, accepted: new Set() };
    this.made.set(origin, pod);
    pod.accepted.add(tag);
  }

  /** The first that was broken, given what is stored in the end. */
  broken(stored: ReadonlyMap<string, DesiredPod>): string | undefined {
    for (const [origin, { key, accepted }] of this.made) {
      const pod = stored.get(key);
      if (!pod || originOf(pod) !== origin) {
        if (!this.condemned.has(origin)) return `${key} made by ${origin} is gone`;
        continue;
      }
      const kept = new Set(pod.actions.map(({ requestId }) => requestId));
      for (const tag of accepted) if (!kept.has(tag)) return `${tag} of ${key} made by ${origin}`;
    }
    return undefined;
  }
}

const originOf = (pod: DesiredPod): string => pod.actions[0]?.requestId ?? '';

/** Does one operation as the api does, with its own pure steps and compare-and-set. */
export async function operate(
  operation: Operation,
  { life, store, plant }: { life: Life; store: Store; plant: Plant },
  promises: Promises,
): Promise<void> {
  const desired = desiredPods(store);
  const key = keyOf(operation.podId);
  const expectation = plant.expectation ?? ((expect) => expect);
  const edit = { nowMs: life.clock.nowMs(), username: 'ada', service: undefined };
  const action = actionOf(operation.kind === 'delete' ? 'stop' : operation.kind, operation.kind, {
    ...edit,
    requestId: operation.tag,
  });
  if (operation.kind === 'create') {
    const earlier = (await podStatuses(store).get(key))?.value;
    const pod = withAction(newPod(operation, life.clock.nowMs(), earlier?.generation), action);
    await desired.put(key, pod, expectation('absent'));
    promises.accept(key, operation.tag, operation.tag);
    return;
  }
  await retrying(async () => {
    const stored = await desired.get(key);
    if (!stored) throw new NoSuchPod(key);
    const { value: pod, version } = stored;
    if (operation.kind === 'delete') {
      promises.condemned.add(originOf(pod));
      await desired.remove(key, { version });
      return;
    }
    const next = withAction(changed(pod, operation), action);
    await desired.put(key, next, expectation({ version }));
    promises.accept(key, originOf(pod), operation.tag);
  });
}

class NoSuchPod extends Error {
  override readonly name = 'NoSuchPod';
}

export const isRefusal = (error: unknown): boolean =>
  error instanceof WriteConflict || error instanceof NoSuchPod;

/** `earlier`: generation of what an earlier pod of this name left behind. */
function newPod(
  operation: Operation,
  createdAtMs: number,
  earlier: number | undefined,
): DesiredPod {
  const { podId, behaviour, timeToStopSeconds } = operation;
  const networking: DesiredPod['networking'] = { default: { protocol: 'http', port: 5000 } };
  if (behaviour !== 'mute') networking['admin'] = { protocol: 'tcp', port: 5001 };
  const key = keyOf(podId);
  return desiredPod({
    podId,
    command: [behaviour],
    networking,
    environment: openSealer.seal('{}', key),
    credentials: { userUsername: podId, userPassword: openSealer.seal('word', key) },
    generation: earlier === undefined ? 1 : earlier + 1,
    timeToStopDefault: timeToStopSeconds,
    createdAtMs,
    updatedAtMs: createdAtMs,
  });
}

function changed(pod: DesiredPod, operation: Operation): DesiredPod {
  switch (operation.kind) {
    case 'start':
    case 'restart':
      return { ...pod, ...nextRun(pod, operation.kind) };
    case 'stop':
      return { ...pod, requested: 'OFF' };
    case 'create':
    case 'delete':
    case 'update':
      return { ...pod, description: operation.wordy, networking: otherNetworks(pod, operation) };
  }
}

/** Updates give a pod a further network, or take it away. */
function otherNetworks({ networking }: DesiredPod, { tag }: Operation): DesiredPod['networking'] {
  const { extra, ...others } = networking;
  if (extra) return others;
  return tag.endsWith('7') ? { ...others, extra: { protocol: 'http', port: 5002 } } : networking;
}
