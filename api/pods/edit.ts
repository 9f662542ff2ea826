import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { DesiredPod, PodStatus } from '#contracts/pod.ts';
import { actionsMax, podKey, sealContext } from '#contracts/pod.ts';
import type { Random } from '#contracts/random.ts';
import type { Sealer } from '#contracts/sealer.ts';
import { storedNetwork } from './networking.ts';
import type { NewPod, UpdatePod } from './schemas.ts';

/** Pure steps from one desired pod to the next; nothing here reads or writes. */

export interface Editing {
  readonly sealer: Sealer;
  readonly nowMs: number;
  readonly username: string;
}

const zVariables = z.record(z.string(), z.string());

export function environmentOf(pod: DesiredPod, sealer: Sealer): Record<string, string> {
  const key = podKey(pod.tenant, pod.podId);
  return zVariables.parse(JSON.parse(sealer.open(pod.environment, sealContext.environment(key))));
}

export function passwordOf(pod: DesiredPod, sealer: Sealer): string {
  const key = podKey(pod.tenant, pod.podId);
  return sealer.open(pod.credentials.userPassword, sealContext.credentials(key));
}

/**
 * A new desired pod. `earlier` is the status that a pod of this name left behind while it is still
 * being cleaned up: the new one's generations go on from there, so they cannot be confused.
 */
export function newPod(
  tenant: string,
  body: NewPod,
  editing: Editing & {
    readonly random: Random;
    readonly earlier: PodStatus | undefined;
    /** The keys of the body as it came, before defaults. */
    readonly sent: readonly string[];
  },
): DesiredPod {
  const { sealer, nowMs, username, random, earlier, sent } = editing;
  const firstGeneration = body.status_requested === 'ON' ? 1 : 0;
  const key = podKey(tenant, body.pod_id);
  const password = makePassword(random);
  return {
    tenant,
    podId: body.pod_id,
    owner: username,
    description: body.description,
    image: body.image,
    command: body.command,
    arguments: body.arguments,
    environment: sealer.seal(
      JSON.stringify(body.environment_variables),
      sealContext.environment(key),
    ),
    networking: storedNetworking(body.networking),
    resources: body.resources,
    computeQueue: body.compute_queue,
    timeToStopDefault: body.time_to_stop_default,
    timeToStopInstance: body.time_to_stop_instance,
    requested: body.status_requested,
    generation: earlier ? earlier.generation + 1 : firstGeneration,
    generationCause: 'create',
    permissions: { [username]: 'ADMIN' },
    credentials: {
      userUsername: body.pod_id,
      userPassword: sealer.seal(password, sealContext.credentials(key)),
    },
    modifiedFields: [...sent],
    actions: [{ atMs: nowMs, text: `Pod object created by '${username}'` }],
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  };
}

/** The pod with the keys of `body` replaced, or undefined when that changes nothing. */
export function updatedPod(
  pod: DesiredPod,
  body: UpdatePod,
  editing: Editing & { readonly status: PodStatus | undefined },
): DesiredPod | undefined {
  const { sealer, status } = editing;
  const environment = body.environment_variables;
  const changes: Partial<DesiredPod> = {
    ...(body.description === undefined ? {} : { description: body.description }),
    ...(body.command === undefined ? {} : { command: body.command }),
    ...(body.time_to_stop_default === undefined
      ? {}
      : { timeToStopDefault: body.time_to_stop_default }),
    ...(body.time_to_stop_instance === undefined
      ? {}
      : { timeToStopInstance: body.time_to_stop_instance }),
    ...(body.networking ? { networking: storedNetworking(body.networking) } : {}),
    ...(body.resources ? { resources: body.resources } : {}),
    ...(environment && !isDeepStrictEqual(environment, environmentOf(pod, sealer))
      ? {
          environment: sealer.seal(
            JSON.stringify(environment),
            sealContext.environment(podKey(pod.tenant, pod.podId)),
          ),
        }
      : {}),
  };
  const edited = { ...pod, ...changes };
  const switched = body.status_requested ? asked(edited, status, body.status_requested) : edited;
  if (isDeepStrictEqual(switched, pod)) return undefined;
  const fields = [...new Set([...pod.modifiedFields, ...Object.keys(body)])];
  const text = `'${editing.username}' updated pod: ${Object.keys(body).join(', ')}`;
  return withAction({ ...switched, modifiedFields: fields }, text, editing.nowMs);
}

function asked(
  pod: DesiredPod,
  status: PodStatus | undefined,
  wish: 'ON' | 'OFF' | 'RESTART',
): DesiredPod {
  if (wish === 'OFF') return { ...pod, requested: 'OFF' };
  if (wish === 'RESTART') return { ...pod, ...nextRun(pod, 'restart') };
  const isOn = pod.requested === 'ON' && status?.expiredGeneration !== pod.generation;
  return isOn ? pod : { ...pod, ...nextRun(pod, 'start') };
}

/** The fields that ask for one more run. */
export function nextRun(
  pod: DesiredPod,
  cause: 'start' | 'restart',
): Pick<DesiredPod, 'requested' | 'generation' | 'generationCause'> {
  return { requested: 'ON', generation: pod.generation + 1, generationCause: cause };
}

export function withAction(pod: DesiredPod, text: string, nowMs: number): DesiredPod {
  const actions = [...pod.actions, { atMs: nowMs, text }].slice(-actionsMax);
  return { ...pod, actions, updatedAtMs: nowMs };
}

const storedNetworking = (networking: NewPod['networking']): DesiredPod['networking'] =>
  Object.fromEntries(
    Object.entries(networking).map(([name, network]) => [name, storedNetwork(network)]),
  );

const passwordAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const passwordLength = 30;

/** 30 letters and digits, each equally likely: bytes beyond the last whole round are drawn again. */
function makePassword(random: Random): string {
  const usable = 256 - (256 % passwordAlphabet.length);
  let password = '';
  while (password.length < passwordLength) {
    for (const byte of random.bytes(passwordLength)) {
      if (byte < usable) password += passwordAlphabet[byte % passwordAlphabet.length];
    }
  }
  return password.slice(0, passwordLength);
}
