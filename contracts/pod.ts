import { z } from 'zod';
import { zPolicy } from './policy.ts';
import { zSealed } from './sealer.ts';
import type { Collection, Store } from './store.ts';
import { collection } from './store.ts';

/** Where one network of a pod listens and how clients reach it. Names and defaults: wire of [A]. */
const zNetwork = z.strictObject({
  protocol: z.enum(['http', 'tcp', 'postgres', 'local_only']),
  /** Port inside the pod. The process runtime gives a free one instead (`PORT_<NET>`). */
  port: z.int(),
  /** Absent: nothing beyond reaching it. */
  policy: zPolicy.optional(),
});
export type Network = z.infer<typeof zNetwork>;

const zResources = z.strictObject({
  cpu_request: z.int(),
  cpu_limit: z.int(),
  mem_request: z.int(),
  mem_limit: z.int(),
  gpus: z.int(),
});

/**
 * What a template, or a user, says of a pod: only what was really said, under the names of the
 * wire. The environment of a user's own is kept sealed and apart.
 */
export const zDefinition = z.strictObject({
  image: z.string().optional(),
  /** Templates only: the fully resolved one that this builds on. */
  template: z.string().optional(),
  description: z.string().optional(),
  command: z.array(z.string()).optional(),
  arguments: z.array(z.string()).optional(),
  environment_variables: z.record(z.string(), z.string()).optional(),
  time_to_stop_default: z.int().optional(),
  time_to_stop_instance: z.int().optional(),
  /** By network the leaves that were set. */
  networking: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
  resources: z.record(z.string(), z.int()).optional(),
  compute_queue: z.string().optional(),
});
export type Definition = z.infer<typeof zDefinition>;

/** One step of a chain of templates, with its name `id:tag@timestamp`. */
const zLayer = z.strictObject({ ref: z.string(), definition: zDefinition });
export type Layer = z.infer<typeof zLayer>;

export const permissionLevels = ['NONE', 'READ', 'USER', 'ADMIN'] as const;
export type PermissionLevel = (typeof permissionLevels)[number];

export const podStates = [
  'REQUESTED',
  'SPAWNER SETUP',
  'CREATING',
  'AVAILABLE',
  'DELETING',
  'STOPPED',
  'ERROR',
  'COMPLETE',
] as const;
export type PodState = (typeof podStates)[number];

/** What can be done to a pod; `set_status` is what the controller does. */
export const actionKinds = [
  'create',
  'update',
  'start',
  'stop',
  'restart',
  'set_permission',
  'certificate_warning',
  'delete_permission',
  'set_status',
] as const;

/** Users and the controller may have the same name. */
export const zActor = z.strictObject({
  type: z.enum(['user', 'controller']),
  name: z.string(),
  /** That did it for the user, as `<service>@<tenant>`. */
  service: z.string().optional(),
});

/** One line of the action log, kept in the order it happened. Old lines have time and text alone. */
const zAction = z.strictObject({
  atMs: z.number(),
  text: z.string(),
  kind: z.enum(actionKinds).optional(),
  actor: zActor.optional(),
  /** The request that did it; the controller's actions have none. */
  requestId: z.string().optional(),
  /** Of `set_status`: the status from then on. */
  status: z.enum(podStates).optional(),
});
export type Action = z.infer<typeof zAction>;

/**
 * What a user wants: written by the api alone.
 *
 * `generation` counts the runs a user asked for (create ON, start, restart). The controller makes
 * the pod's run match it and says in the status which generation it is at; so RESTART is no state
 * that somebody must reset.
 */
const zDesiredPod = z.strictObject({
  tenant: z.string(),
  podId: z.string(),
  owner: z.string(),
  description: z.string(),
  image: z.string(),
  command: z.array(z.string()).nullable(),
  arguments: z.array(z.string()).nullable(),
  /** JSON of a map name to value. Context `pod/<key>/environment`. */
  environment: zSealed,
  networking: z.record(z.string(), zNetwork),
  resources: zResources,
  computeQueue: z.string(),
  /** Seconds, or -1 for never. */
  timeToStopDefault: z.int(),
  timeToStopInstance: z.int().nullable(),
  requested: z.enum(['ON', 'OFF']),
  generation: z.int(),
  /** Why the newest generation was asked for; shown as status_requested RESTART until it runs. */
  generationCause: z.enum(['create', 'start', 'restart']),
  permissions: z.record(z.string(), z.enum(permissionLevels)),
  /** Per-pod credentials for `<<TAPIS_user_password>>`. Context `pod/<key>/credentials`. */
  credentials: z.strictObject({ userUsername: z.string(), userPassword: zSealed }),
  /** Top-level keys the user really sent. */
  modifiedFields: z.array(z.string()),
  /**
   * Where the fields above come from, for a pod made from a template: what the user said himself,
   * and the templates with what they say, closest first. So a template may go, the pod stays.
   */
  template: z
    .strictObject({
      /** Fully resolved: `id:tag@timestamp`. */
      ref: z.string(),
      own: zDefinition,
      /** JSON of the user's own variables. Context `pod/<key>/own-environment`. */
      ownEnvironment: zSealed,
      layers: z.array(zLayer),
    })
    .optional(),
  actions: z.array(zAction),
  createdAtMs: z.number(),
  updatedAtMs: z.number(),
});
export type DesiredPod = z.infer<typeof zDesiredPod>;

/** What is: written by the controller alone, under its lease. */
export const zPodStatus = z.strictObject({
  state: z.enum(podStates),
  /** The newest generation the controller has acted on. */
  generation: z.int(),
  /** A sentence for users: why it is in this state, what to do. */
  message: z.string(),
  phase: z.string(),
  startedAtMs: z.number().nullable(),
  stopAtMs: z.number().nullable(),
  /** The generation that time_to_stop ended: the pod stays off until a newer one is asked for. */
  expiredGeneration: z.int().nullable(),
  /** When runs of this generation failed, newest last; decides backoff and ERROR. */
  failuresAtMs: z.array(z.number()),
  /** When the run now under way or ended last was started, with how often: names a run. */
  run: z.int(),
  actions: z.array(zAction),
});
export type PodStatus = z.infer<typeof zPodStatus>;

/** Action logs are capped: oldest entries go first. */
export const actionsMax = 200;

export const podKey = (tenant: string, podId: string): string => `${tenant}/${podId}`;

export const desiredPods = (store: Store): Collection<DesiredPod> =>
  collection(store, 'pods', zDesiredPod);

export const podStatuses = (store: Store): Collection<PodStatus> =>
  collection(store, 'pod-status', zPodStatus);

/** Contexts under which a pod's secrets are sealed. */
export const sealContext = {
  environment: (key: string): string => `pod/${key}/environment`,
  ownEnvironment: (key: string): string => `pod/${key}/own-environment`,
  credentials: (key: string): string => `pod/${key}/credentials`,
  certificate: (id: string): string => `certificate/${id}/key`,
} as const;
