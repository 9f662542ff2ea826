import { z } from 'zod';
import { zPodStatus } from '#contracts/pod.ts';
import { zTime } from '../times.ts';
import { lasting, updatable, zTemplateReference } from './fields.ts';
import { zShownNetwork } from './networking.ts';

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

const referenceForms =
  '`id`, `id:tag` or `id:tag@timestamp`; without a tag it is `latest`. Stored with the timestamp.';

const labelFits = (podId: string, networks: object): boolean =>
  Object.keys(networks).every(
    (name) => name === 'default' || podId.length + 1 + name.length <= labelLengthMax,
  );

const labelTooLong = `pod_id and a network's name have together more than ${labelLengthMax - 1} characters: shorten one`;

export const zNewPod = z
  .strictObject({
    pod_id: zPodId,
    template: zTemplateReference.optional().describe(referenceForms),
    ...lasting,
    ...updatable,
    status_requested: z
      .enum(['ON', 'OFF'], 'must be ON or OFF for a new pod')
      .optional()
      .meta({ default: 'ON' }),
  })
  .refine(({ image, template }) => Boolean(image) || Boolean(template), {
    path: ['image'],
    message: 'Field required, or name a template',
  })
  .refine(({ pod_id, networking }) => labelFits(pod_id, networking ?? {}), {
    path: ['networking'],
    message: labelTooLong,
  })
  .meta({
    examples: [
      {
        pod_id: 'mydb',
        image: 'postgres',
        description: 'The database of the course.',
        environment_variables: { POSTGRES_PASSWORD: '<<TAPIS_user_password>>' },
        networking: { default: { protocol: 'postgres', port: 5432 } },
      },
    ],
  });
export type NewPod = z.infer<typeof zNewPod>;

export const zUpdatePod = z
  .strictObject({
    ...updatable,
    status_requested: z.enum(['ON', 'OFF', 'RESTART'], 'must be ON, OFF or RESTART').optional(),
  })
  .meta({ examples: [{ description: 'The database of both courses.', time_to_stop_default: -1 }] });
export type UpdatePod = z.infer<typeof zUpdatePod>;

/** Why these networks do not fit this pod, or undefined. */
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
    .pipe(z.enum(['READ', 'USER', 'ADMIN'], 'must be READ, USER or ADMIN'))
    .meta({ examples: ['READ'] }),
});

const zNetworkName = z.string().meta({ examples: ['default'] });

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
    networking: z.record(zNetworkName, zShownNetwork),
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
  permissions: z
    .array(z.string())
    .meta({ description: '`user:LEVEL` each.', examples: [['ada:ADMIN', 'bob:READ']] }),
});
export const zCredentials = z.strictObject({
  user_username: z.string(),
  user_password: z.string(),
});
export const zLogs = z.strictObject({ logs: z.string(), action_logs: z.array(z.string()) });
