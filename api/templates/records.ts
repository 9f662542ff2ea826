import { z } from 'zod';
import type { Definition } from '#contracts/pod.ts';
import { zDefinition } from '#contracts/pod.ts';
import type { Collection, Store } from '#contracts/store.ts';
import { collection } from '#contracts/store.ts';
import { tagTimestamp } from './reference.ts';

const zTagEntry = z.strictObject({
  tag: z.string(),
  /** `<tag>@YYYY-MM-DD-HH:MM:SS`, UTC; unique within the template. */
  timestamp: z.string(),
  commitMessage: z.string(),
  addedBy: z.string(),
  createdAtMs: z.number(),
});
export type TagEntry = z.infer<typeof zTagEntry>;

/** A template and the index of its tags. One namespace for all tenants. */
const zTemplate = z.strictObject({
  templateId: z.string(),
  /** Where it was made: its permissions are of users there. */
  tenant: z.string(),
  description: z.string(),
  metatags: z.array(z.string()),
  archiveMessage: z.string(),
  /** By username; `*` is the tenant, `**` the site, `tenant.<id>` another tenant. */
  permissions: z.record(z.string(), z.enum(['READ', 'USER', 'ADMIN'])),
  /** Newest last. */
  tags: z.array(zTagEntry),
  createdAtMs: z.number(),
  updatedAtMs: z.number(),
});
export type Template = z.infer<typeof zTemplate>;

export const templates = (store: Store): Collection<Template> =>
  collection(store, 'templates', zTemplate);

/**
 * What tags define, by `<template id>:<timestamp>`. Written once, before the index names it, and
 * never changed: one that no index names was left behind by a crash and means nothing.
 */
export const tagDefinitions = (store: Store): Collection<Definition> =>
  collection(store, 'template-tags', zDefinition);

/**
 * Writes the definition of one more tag and returns the index that names it, for the caller to
 * write: an index never names what is not there. Tags of one template never share a second, since
 * their timestamps name them. Throws `WriteConflict` when that second is just being taken.
 */
export async function addTag(
  store: Store,
  template: Template,
  { definition, nowMs, passedOverMs, ...said }: NewEntry,
): Promise<{ next: Template; entry: TagEntry }> {
  const seconds = template.tags.map(({ createdAtMs }) => Math.floor(createdAtMs / 1000) + 1);
  const createdAtMs = Math.max(nowMs, ...seconds.map((second) => second * 1000)) + passedOverMs;
  const timestamp = tagTimestamp(said.tag, createdAtMs);
  await tagDefinitions(store).put(`${template.templateId}:${timestamp}`, definition, 'absent');
  const entry = { ...said, timestamp, createdAtMs };
  return { next: { ...template, tags: [...template.tags, entry] }, entry };
}

interface NewEntry extends Pick<TagEntry, 'tag' | 'commitMessage' | 'addedBy'> {
  readonly definition: Definition;
  readonly nowMs: number;
  /** Whole seconds that turned out to be taken. */
  readonly passedOverMs: number;
}
