import type { DesiredPod } from '#contracts/pod.ts';
import { desiredPods, podKey, podStatuses, sealContext } from '#contracts/pod.ts';
import { podHost } from '#contracts/hosts.ts';
import type { Sealer } from '#contracts/sealer.ts';
import type { Store } from '#contracts/store.ts';
import { desiredPod, podStatus } from '../../test/pod-examples.ts';

/** Pods as the api and a controller before have left them: made long ago, running, announced. */

export const domain = 'example.test';
const tenant = 'default';
export const createdAtMs = Date.UTC(2026, 0, 1);
const atOnce = 500; // writes under way

const idOf = (index: number): string => `pod${index}`;
export const keyOf = (index: number): string => podKey(tenant, idOf(index));
export const hostOf = (index: number): string => podHost(idOf(index), 'default', domain);

/** Something that clients are told, by which an edit is known at the edge. */
const wordOf = (edit: number): string => `EDIT${edit}`;

/** The edit of which this answer to a preflight tells; undefined: of none. */
export function editShown(answer: string): number | undefined {
  const [, edit] = /^access-control-allow-methods: EDIT(\d+)\r$/im.exec(answer) ?? [];
  return edit === undefined ? undefined : Number(edit);
}

/** An edit as a call of the REST API. */
export const editOf = (index: number, edit: number) => ({
  path: `/v3/pods/${idOf(index)}`,
  body: {
    networking: {
      default: { protocol: 'http', cors_allow_origins: ['*'], cors_allow_methods: [wordOf(edit)] },
    },
  },
});

function pod(index: number, sealer: Sealer): DesiredPod {
  const key = keyOf(index);
  const methods = [wordOf(0)];
  const cors = { origins: ['*'], methods, headers: [], credentials: false, maxAgeSeconds: 100 };
  return desiredPod({
    podId: idOf(index),
    description: 'one of many',
    modifiedFields: [
      'image',
      'description',
      'environment_variables',
      'networking',
      'time_to_stop_default',
    ],
    environment: sealer.seal('{"GREETING":"hello"}', sealContext.environment(key)),
    networking: { default: { protocol: 'http', port: 5000, policy: { cors } } },
    timeToStopDefault: -1,
    credentials: {
      userUsername: idOf(index),
      userPassword: sealer.seal('of the pod', sealContext.credentials(key)),
    },
    createdAtMs,
    updatedAtMs: createdAtMs,
  });
}

const status = podStatus({
  state: 'AVAILABLE',
  message: 'The pod can be reached.',
  startedAtMs: createdAtMs,
});

/** Writes the pods `from` to `to` with their statuses, many at a time. */
export async function writePods(
  store: Store,
  sealer: Sealer,
  [from, to]: readonly [number, number],
): Promise<void> {
  const [desired, statuses] = [desiredPods(store), podStatuses(store)];
  for (let at = from; at < to; at += atOnce) {
    const indices = Array.from({ length: Math.min(atOnce, to - at) }, (_, number) => at + number);
    await Promise.all(
      indices.flatMap((index) => [
        desired.put(keyOf(index), pod(index, sealer), 'anything'),
        statuses.put(keyOf(index), status, 'anything'),
      ]),
    );
  }
}
