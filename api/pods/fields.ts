import { z } from 'zod';
import { parseReference } from '../templates/reference.ts';
import { zNetworking, zSaidNetworking } from './networking.ts';
import { notYet } from './not-yet.ts';
import { sparse } from './sparse.ts';

/** What may be said of a pod, by its user or by a template, and what holds where nothing is said. */

export const zDescription = z
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
  gpus: bounded('GPUs', 0, 1).default(0),
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

export const zTemplateReference = z
  .string()
  .refine(
    (text) => text === '' || parseReference(text) !== undefined,
    'must be a template: id, id:tag or id:tag@timestamp',
  );

const noMounts = z
  .record(z.string(), z.unknown())
  .refine((map) => Object.keys(map).length === 0, notYet);

/** Fields that can be said when a pod is made and later. */
export const updatable = {
  description: zDescription.optional().meta({ default: '' }),
  command: zWords.optional().meta({ default: null }),
  environment_variables: zEnvironment.optional().meta({ default: {} }),
  volume_mounts: noMounts.optional().meta({ default: {} }),
  time_to_stop_default: zSeconds.optional().meta({ default: 43_200 }),
  time_to_stop_instance: zSeconds.nullable().optional().meta({ default: null }),
  networking: zSaidNetworking.optional(),
  resources: z.strictObject(sparse(resourceFields)).optional(),
};

/** Fields that are said once: when a pod is made, or in a template. */
export const lasting = {
  image: z.string().optional().meta({ default: '' }),
  arguments: zWords.optional().meta({ default: null }),
  compute_queue: z
    .literal('default', 'there is only the queue default')
    .optional()
    .meta({ default: 'default' }),
};

/** A pod as it shall be: all that was said, and the defaults for the rest. */
export const zEffective = z.strictObject({
  image: z.string(),
  description: zDescription.default(''),
  command: zWords.default(null),
  arguments: zWords.default(null),
  environment_variables: zEnvironment.default({}),
  time_to_stop_default: zSeconds.default(43_200),
  time_to_stop_instance: zSeconds.nullable().default(null),
  networking: zNetworking,
  resources: zWireResources,
  compute_queue: z.string().default('default'),
});
export type Effective = z.infer<typeof zEffective>;
