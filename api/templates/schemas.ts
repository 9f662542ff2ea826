import { z } from 'zod';
import { lasting, updatable, zDescription, zTemplateReference } from '../pods/fields.ts';
import { zSaidNetworks } from '../pods/networking.ts';
import { zTime } from '../times.ts';
import { tagPattern } from './reference.ts';

/** Templates and their tags, as the wire has them. */

const zTemplateId = z
  .string()
  .regex(/^[a-z][a-z0-9]+$/, 'must be lowercase alphanumeric, the first character a letter')
  .min(3, 'must have at least 3 characters')
  .max(64, 'must have at most 64 characters')
  .refine((id) => id !== 'tags', 'is a reserved word, choose another');

const templateFields = {
  description: zDescription,
  metatags: z
    .array(z.string().max(64, 'must have at most 64 characters'))
    .max(50, 'has more than 50 entries'),
  archive_message: zDescription,
};

export const zNewTemplate = z.strictObject({
  template_id: zTemplateId,
  description: templateFields.description.default(''),
  metatags: templateFields.metatags.default([]),
  archive_message: templateFields.archive_message.default(''),
});
export type NewTemplate = z.infer<typeof zNewTemplate>;

export const zUpdateTemplate = z
  .strictObject(templateFields)
  .partial()
  .meta({ examples: [{ description: 'Postgres, with an account of its own for each pod.' }] });
export type UpdateTemplate = z.infer<typeof zUpdateTemplate>;

type Nullable<Fields extends Record<string, z.ZodType>> = {
  [Name in keyof Fields]: z.ZodNullable<Fields[Name]>;
};

/** In a template null says nothing, like a field that is left out. */
function nullable<Fields extends Record<string, z.ZodType>>(fields: Fields): Nullable<Fields> {
  const entries = Object.entries(fields).map(([name, field]) => [name, z.nullable(field)] as const);
  // Object.fromEntries forgets which schema stands under which name.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return Object.fromEntries(entries) as Nullable<Fields>;
}

export const zPodDefinition = z.strictObject({
  template: zTemplateReference.nullable().optional(),
  ...nullable(lasting),
  ...nullable(updatable),
  // Empty as a tag shows it that names no network.
  networking: zSaidNetworks.nullable().optional(),
});

const zTag = z
  .string()
  .regex(tagPattern, 'must have 1 to 80 letters, digits, dots and hyphens')
  .default('latest');
const zCommitMessage = zDescription;

export const zNewTag = z
  .strictObject({
    pod_definition: zPodDefinition,
    commit_message: zCommitMessage,
    tag: zTag,
  })
  .meta({
    examples: [
      {
        pod_definition: {
          image: 'postgres',
          environment_variables: { POSTGRES_PASSWORD: '<<TAPIS_user_password>>' },
          networking: { default: { protocol: 'postgres', port: 5432 } },
        },
        commit_message: 'Version 17.',
        tag: 'latest',
      },
    ],
  });
export type NewTag = z.infer<typeof zNewTag>;

export const zSaveAsTag = z.strictObject({
  template_id: z.string(),
  commit_message: zCommitMessage,
  tag: zTag,
});

const template = {
  template_id: z.string(),
  description: z.string(),
  metatags: z.array(z.string()),
  archive_message: z.string(),
  creation_ts: zTime,
  update_ts: zTime,
};

export const zTemplateAnswer = z.strictObject(template).meta({ id: 'Template' });
export type WireTemplate = z.infer<typeof zTemplateAnswer>;

const zDefinitionAnswer = z
  .strictObject({
    image: z.string().nullable(),
    template: z.string().nullable(),
    description: z.string().nullable(),
    command: z.array(z.string()).nullable(),
    arguments: z.array(z.string()).nullable(),
    environment_variables: z.record(z.string(), z.string()),
    volume_mounts: z.record(z.string(), z.unknown()),
    time_to_stop_default: z.int().nullable(),
    time_to_stop_instance: z.int().nullable(),
    networking: z
      .record(z.string(), z.record(z.string(), z.unknown()))
      .describe('By network the leaves that the tag sets.'),
    resources: z.record(z.string(), z.int()),
    compute_queue: z.string().nullable(),
  })
  .meta({ id: 'PodDefinition' });

export const zTagAnswer = z
  .strictObject({
    template_id: z.string().optional(),
    pod_definition: zDefinitionAnswer.optional(),
    commit_message: z.string(),
    tag: z.string(),
    tag_timestamp: z.string(),
    added_by: z.string(),
    creation_ts: zTime,
  })
  .meta({ id: 'TemplateTag', description: 'With full=false the definition is left out.' });
export type WireTag = z.infer<typeof zTagAnswer>;

export const zTemplateWithTags = z
  .strictObject({ ...template, tags: z.array(zTagAnswer) })
  .meta({ id: 'TemplateWithTags' });
export type WireTemplateWithTags = z.infer<typeof zTemplateWithTags>;
