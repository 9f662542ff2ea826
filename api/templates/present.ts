import type { Definition } from '#contracts/pod.ts';
import type { TagEntry, Template } from './records.ts';
import { timestamp } from '../times.ts';
import type { WireTag, WireTemplate } from './schemas.ts';

/** Templates as the wire shows them. */

export const presentTemplate = (template: Template): WireTemplate => ({
  template_id: template.templateId,
  description: template.description,
  metatags: template.metatags,
  archive_message: template.archiveMessage,
  creation_ts: timestamp(template.createdAtMs),
  update_ts: timestamp(template.updatedAtMs),
});

/** Without a definition it is the short form of lists. */
export function presentTag(
  { templateId }: Template,
  entry: TagEntry,
  definition: Definition | undefined,
): WireTag {
  return {
    ...(definition
      ? { template_id: templateId, pod_definition: presentDefinition(definition) }
      : {}),
    commit_message: entry.commitMessage,
    tag: entry.tag,
    tag_timestamp: entry.timestamp,
    added_by: entry.addedBy,
    creation_ts: timestamp(entry.createdAtMs),
  };
}

const presentDefinition = (definition: Definition): NonNullable<WireTag['pod_definition']> => ({
  image: definition.image ?? null,
  template: definition.template ?? null,
  description: definition.description ?? null,
  command: definition.command ?? null,
  arguments: definition.arguments ?? null,
  environment_variables: definition.environment_variables ?? {},
  volume_mounts: {},
  time_to_stop_default: definition.time_to_stop_default ?? null,
  time_to_stop_instance: definition.time_to_stop_instance ?? null,
  networking: definition.networking ?? {},
  resources: definition.resources ?? {},
  compute_queue: definition.compute_queue ?? null,
});
