import { z } from 'zod';
import { zPodStatus } from '#contracts/pod.ts';
import { zTime } from '../times.ts';
import { zNetworking, zWireNetwork } from './networking.ts';
import { notYet } from './not-yet.ts';

/** What callers may send for a pod: names, defaults and bounds of the wire. */

// The path segments after /pods that are, or will be, resources of their own.
const reservedIds = new Set(
  (
    'admin catalog catalogs cluster image images jupyter metrics nodes routes secrets ' +
    'snapshot snapshots stacks template templates volume volumes'
  ).split(' '),
);

// RFC 1035: a pod and its network share one label of the host name.
const labelLengthMax = 63;

const zPodId = z
  .string()
  .regex(/^[a-z][a-z0-9]+$/, 'must be lowercase alphanumeric, the first character a letter')
  .min(3, 'must have at least 3 characters')
  .max(labelLengthMax, `must have at most ${labelLengthMax} characters`)
  .refine((id) => !reservedIds.has(id), 'is a reserved word, choose another');

const zDescription = z
  .string()
  .max(255, 'must have at most 255 characters')
  // oxlint-disable-next-line no-control-regex -- the wire allows all of ASCII
  .regex(/^[\u0000-\u007f]*$/, 'must be ASCII');

const zSeconds = z
  .int('must be a whole number of seconds')
  .refine((value) => value === -1 || value >= 300, 'must be -1 (never) or at least 300 seconds');

const bounded = (unit: string, min: number, max: number): z.ZodType<number> =>
  z
    .int(`must be a whole number of ${unit}`)
    .min(min, `must be at least ${min} ${unit}`)
    .max(max, `must be at most ${max} ${unit}`);

const resourceFields = {
  cpu_request: bounded('millicpu', 250, 6000).default(250),
  cpu_limit: bounded('millicpu', 250, 6000).default(2000),
  mem_request: bounded('MiB', 256, 12_288).default(256),
  mem_limit: bounded('MiB', 256, 12_288).default(3072),
  gpus: z.literal(0, notYet).default(0),
};
const zWireResources = z
  .strictObject(resourceFields)
  .refine((r) => r.cpu_request <= r.cpu_limit, {
    path: ['cpu_request'],
    message: 'must not be more than cpu_limit',
  })
  .refine((r) => r.mem_request <= r.mem_limit, {
    path: ['mem_request'],
    message: 'must not be more than mem_limit',
  });

// No system passes it to a program: the pod would be accepted and never start.
const zText = z
  .string('must be a string')
  .refine((text) => !text.includes('\0'), 'must not contain NUL');
const zWords = z.array(zText).nullable();

const zEnvironment = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'a name has letters, digits and _, no digit first'),
  zText,
);

const updatable = {
  description: zDescription,
  command: zWords,
  environment_variables: zEnvironment,
  status_requested: z.enum(['ON', 'OFF', 'RESTART'], 'must be ON, OFF or RESTART'),
  volume_mounts: z
    .record(z.string(), z.unknown())
    .refine((map) => Object.keys(map).length === 0, notYet),
  time_to_stop_default: zSeconds,
  time_to_stop_instance: zSeconds.nullable(),
  networking: zNetworking,
  resources: zWireResources,
};

const labelFits = (podId: string, networks: object): boolean =>
  Object.keys(networks).every(
    (name) => name === 'default' || podId.length + 1 + name.length <= labelLengthMax,
  );

const labelTooLong = `pod_id and a network's name have together more than ${labelLengthMax - 1} characters: shorten one`;

export const zNewPod = z
  .strictObject({
    pod_id: zPodId,
    image: z.string().min(1, 'is empty, name an image'),
    template: z.literal('', 'templates are not available yet, give an image').default(''),
    ...updatable,
    volume_mounts: updatable.volume_mounts.default({}),
    description: updatable.description.default(''),
    command: updatable.command.default(null),
    arguments: zWords.default(null),
    environment_variables: updatable.environment_variables.default({}),
    status_requested: z.enum(['ON', 'OFF'], 'must be ON or OFF for a new pod').default('ON'),
    time_to_stop_default: updatable.time_to_stop_default.default(43_200),
    time_to_stop_instance: updatable.time_to_stop_instance.default(null),
    networking: updatable.networking.prefault({ default: {} }),
    resources: updatable.resources.prefault({}),
    compute_queue: z.literal('default', 'there is only the queue default').default('default'),
  })
  .refine(({ pod_id, networking }) => labelFits(pod_id, networking), {
    path: ['networking'],
    message: labelTooLong,
  });
export type NewPod = z.infer<typeof zNewPod>;

export const zUpdatePod = z.strictObject(updatable).partial();
export type UpdatePod = z.infer<typeof zUpdatePod>;

/** Why a change of networks does not fit this pod, or undefined. */
export const networkingProblem = (podId: string, networking: object): string | undefined =>
  labelFits(podId, networking) ? undefined : `body, networking: ${labelTooLong}`;

export const zSetPermission = z.strictObject({
  user: z
    .string()
    .max(128, 'is longer than 128')
    // Shown as `user:LEVEL`; not the one name that no object can have as a key of its own.
    .regex(/^(?!__proto__$)[\w.@*+-]+$/, 'must be a username or * for everybody'),
  level: z
    .string()
    .toUpperCase()
    .pipe(z.enum(['READ', 'USER', 'ADMIN'], 'must be READ, USER or ADMIN')),
});

/** A pod as it is answered: all fields, always. */
export const zPod = z
  .strictObject({
    pod_id: z.string(),
    image: z.string(),
    template: z.string(),
    description: z.string(),
    command: z.array(z.string()).nullable(),
    arguments: z.array(z.string()).nullable(),
    environment_variables: z
      .record(z.string(), z.string())
      .describe('The values are *** for those who may only READ.'),
    status_requested: z.enum(['ON', 'OFF', 'RESTART']),
    volume_mounts: z.record(z.string(), z.unknown()),
    time_to_stop_default: z.int(),
    time_to_stop_instance: z.int().nullable(),
    networking: z.record(z.string(), zWireNetwork),
    resources: z.strictObject({
      cpu_request: z.int(),
      cpu_limit: z.int(),
      mem_request: z.int(),
      mem_limit: z.int(),
      gpus: z.int(),
    }),
    compute_queue: z.string(),
    time_to_stop_ts: zTime,
    status: zPodStatus.shape.state,
    status_container: z.strictObject({
      phase: z.string().optional(),
      start_time: zTime.optional(),
      message: z.string().optional(),
    }),
    creation_ts: zTime,
    update_ts: zTime,
    start_instance_ts: zTime,
  })
  .meta({ id: 'Pod' });
export type WirePod = z.infer<typeof zPod>;

export const zPermissions = z.strictObject({
  permissions: z.array(z.string()).describe('`user:LEVEL` each.'),
});
export const zCredentials = z.strictObject({
  user_username: z.string(),
  user_password: z.string(),
});
export const zLogs = z.strictObject({ logs: z.string(), action_logs: z.array(z.string()) });
