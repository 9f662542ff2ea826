import { z } from 'zod';
import type { Definition } from '#contracts/pod.ts';
import { zDefinition } from '#contracts/pod.ts';
import type { Collection, Store } from '#contracts/store.ts';
import { collection } from '#contracts/store.ts';

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
