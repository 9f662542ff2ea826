import { isDeepStrictEqual } from 'node:util';
import type { DesiredPod } from '#contracts/pod.ts';
import { podKey, sealContext } from '#contracts/pod.ts';
import type { Sealer } from '#contracts/sealer.ts';

/**
 * What the next run will have otherwise than the one that was started before an update, by the names
 * of the wire. Everything else (description, times, who may reach it) holds at once.
 */
export function restartChanges(before: DesiredPod, after: DesiredPod, sealer: Sealer): string[] {
  const key = podKey(before.tenant, before.podId);
  const variables = ({ environment }: DesiredPod): unknown =>
    JSON.parse(sealer.open(environment, sealContext.environment(key)));
  const parts: Readonly<Record<string, (pod: DesiredPod) => unknown>> = {
    image: (pod) => pod.image,
    command: (pod) => pod.command,
    arguments: (pod) => pod.arguments,
    environment_variables: variables,
    networking: (pod) =>
      Object.entries(pod.networking).map(([name, { protocol, port }]) => [name, protocol, port]),
    resources: (pod) => pod.resources,
    compute_queue: (pod) => pod.computeQueue,
  };
  return Object.entries(parts)
    .filter(([, part]) => !isDeepStrictEqual(part(before), part(after)))
    .map(([name]) => name);
}
