import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Action, Definition, DesiredPod, Layer, PodStatus } from '#contracts/pod.ts';
import { actionsMax, podKey, sealContext } from '#contracts/pod.ts';
import type { Random } from '#contracts/random.ts';
import type { Sealed, Sealer } from '#contracts/sealer.ts';
import type { Effective } from './fields.ts';
import { storedNetwork, wireNetwork } from './networking.ts';
import type { NewPod, UpdatePod } from './schemas.ts';

/** Pure steps from one desired pod to the next; nothing here reads or writes. */

/** Who changes a pod, when, and by which request: for the action log. */
export interface Edit {
  readonly nowMs: number;
  readonly username: string;
  /** That acts for the user. */
  readonly service: string | undefined;
  readonly requestId: string;
}

export interface Editing extends Edit {
  readonly sealer: Sealer;
}

/** What was said of a pod, with the templates below it, and what comes out. */
export interface Shape {
  readonly own: Definition;
  /** Fully resolved; undefined: no template. */
  readonly ref: string | undefined;
  readonly layers: readonly Layer[];
  readonly effective: Effective;
}

const zVariables = z.record(z.string(), z.string());

const openVariables = (sealed: Sealed, context: string, sealer: Sealer): Record<string, string> =>
  zVariables.parse(JSON.parse(sealer.open(sealed, context)));

export function environmentOf(pod: DesiredPod, sealer: Sealer): Record<string, string> {
  const key = podKey(pod.tenant, pod.podId);
  return openVariables(pod.environment, sealContext.environment(key), sealer);
}

export function passwordOf(pod: DesiredPod, sealer: Sealer): string {
  const key = podKey(pod.tenant, pod.podId);
  return sealer.open(pod.credentials.userPassword, sealContext.credentials(key));
}

/** What the user himself said of the pod. */
export function ownOf(pod: DesiredPod, sealer: Sealer): Definition {
  if (pod.template) {
    const context = sealContext.ownEnvironment(podKey(pod.tenant, pod.podId));
    const variables = openVariables(pod.template.ownEnvironment, context, sealer);
    return { ...pod.template.own, environment_variables: variables };
  }
  const networking = Object.entries(pod.networking).map(([name, network]) => {
    const { url: _url, ...leaves } = wireNetwork(network, '');
    return [name, leaves] as const;
  });
  const all: Definition = {
    image: pod.image,
    description: pod.description,
    command: pod.command ?? undefined,
    arguments: pod.arguments ?? undefined,
    environment_variables: environmentOf(pod, sealer),
    time_to_stop_default: pod.timeToStopDefault,
    time_to_stop_instance: pod.timeToStopInstance ?? undefined,
    networking: Object.fromEntries(networking),
    resources: pod.resources,
    compute_queue: pod.computeQueue,
  };
  return Object.fromEntries(
    Object.entries(all).filter(([field]) => pod.modifiedFields.includes(field)),
  );
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
    readonly shape: Shape;
  },
): DesiredPod {
  const { sealer, nowMs, username, random, earlier, shape } = editing;
  const requested = body.status_requested ?? 'ON';
  const firstGeneration = requested === 'ON' ? 1 : 0;
  const key = podKey(tenant, body.pod_id);
  const password = makePassword(random);
  return {
    tenant,
    podId: body.pod_id,
    owner: username,
    ...fieldsOf(shape.effective),
    ...sealedFields(key, shape, sealer),
    requested,
    generation: earlier ? earlier.generation + 1 : firstGeneration,
    generationCause: 'create',
    permissions: { [username]: 'ADMIN' },
    credentials: {
      userUsername: body.pod_id,
      userPassword: sealer.seal(password, sealContext.credentials(key)),
    },
    modifiedFields: Object.keys(body),
    actions: [actionOf('create', `Pod object created by '${username}'`, editing)],
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  };
}

/** The pod with its shape and switch changed, or undefined when that changes nothing. */
export function updatedPod(
  pod: DesiredPod,
  body: UpdatePod,
  editing: Editing & { readonly status: PodStatus | undefined; readonly shape: Shape },
): DesiredPod | undefined {
  const { status, shape } = editing;
  const edited = reshaped(pod, shape, editing.sealer);
  const switched = body.status_requested ? asked(edited, status, body.status_requested) : edited;
  if (isDeepStrictEqual(switched, pod)) return undefined;
  const fields = [...new Set([...pod.modifiedFields, ...Object.keys(body)])];
  const text = `'${editing.username}' updated pod: ${Object.keys(body).join(', ')}`;
  return withAction({ ...switched, modifiedFields: fields }, actionOf('update', text, editing));
}

/** The pod with another shape; what stays the same keeps its sealed form. */
export function reshaped(pod: DesiredPod, shape: Shape, sealer: Sealer): DesiredPod {
  const key = podKey(pod.tenant, pod.podId);
  const fresh = sealedFields(key, shape, sealer);
  const variables = shape.effective.environment_variables;
  const same = isDeepStrictEqual(variables, environmentOf(pod, sealer));
  const environment = same ? pod.environment : fresh.environment;
  const next = { ...pod, ...fieldsOf(shape.effective), environment };
  if (!fresh.template || !pod.template) return next;
  const { environment_variables: own = {} } = shape.own;
  const { environment_variables: before } = ownOf(pod, sealer);
  const ownEnvironment = isDeepStrictEqual(own, before)
    ? pod.template.ownEnvironment
    : fresh.template.ownEnvironment;
  return { ...next, template: { ...fresh.template, ownEnvironment } };
}

const fieldsOf = (effective: Effective) => ({
  description: effective.description,
  image: effective.image,
  command: effective.command,
  arguments: effective.arguments,
  networking: Object.fromEntries(
    Object.entries(effective.networking).map(([name, network]) => [name, storedNetwork(network)]),
  ),
  resources: effective.resources,
  computeQueue: effective.compute_queue,
  timeToStopDefault: effective.time_to_stop_default,
  timeToStopInstance: effective.time_to_stop_instance,
});

function sealedFields(key: string, shape: Shape, sealer: Sealer) {
  const { effective, ref, layers } = shape;
  const { environment_variables: variables = {}, ...own } = shape.own;
  const environment = sealer.seal(
    JSON.stringify(effective.environment_variables),
    sealContext.environment(key),
  );
  if (ref === undefined) return { environment };
  const ownEnvironment = sealer.seal(JSON.stringify(variables), sealContext.ownEnvironment(key));
  return { environment, template: { ref, own, ownEnvironment, layers: [...layers] } };
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

export function actionOf(
  kind: NonNullable<Action['kind']>,
  text: string,
  { nowMs, username, service, requestId }: Edit,
): Action {
  const actor = { type: 'user' as const, name: username, ...(service ? { service } : {}) };
  return { atMs: nowMs, text, kind, actor, requestId };
}

export function withAction(pod: DesiredPod, action: Action): DesiredPod {
  const actions = [...pod.actions, action].slice(-actionsMax);
  return { ...pod, actions, updatedAtMs: action.atMs };
}

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
