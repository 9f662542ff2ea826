import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#contracts/clock.ts';
import { allowedImages, builtinImages, imageName } from '#contracts/image.ts';
import type { Definition } from '#contracts/pod.ts';
import type { Log } from '#contracts/log.ts';
import type { Store } from '#contracts/store.ts';
import { BrokenDocument } from '#contracts/store.ts';
import { definitionOf } from '../../pods/shape.ts';
import { retrying } from '../../retrying.ts';
import { parse } from '../../validation.ts';
import type { Template } from '../records.ts';
import { addTag, tagDefinitions, templates } from '../records.ts';
import { zPodDefinition } from '../schemas.ts';

/** A template that comes with Podgate. Its definition is checked like any user's. */
export interface Seed {
  readonly templateId: string;
  readonly description: string;
  readonly metatags: readonly string[];
  readonly definition: Readonly<Record<string, unknown>>;
}

// No user can be called so: whoever owns these templates decides what everybody's pods run.
const owner = '(podgate)';

interface Ground {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Makes the templates be there, for everybody to read. One that changed since gets a new version
 * of `latest`; pods made from the old stay as they are. Templates of users with such a name stay.
 */
export async function plant(ground: Ground, tenant: string, seeds: readonly Seed[]): Promise<void> {
  for (const seed of seeds) {
    try {
      await retrying(() => plantOne(ground, tenant, seed));
    } catch (error) {
      // A record that is damaged must not keep the API from starting.
      if (!(error instanceof BrokenDocument)) throw error;
      ground.log.error({ template: seed.templateId, error: error.message }, 'damaged, not planted');
    }
  }
}

async function plantOne({ store, clock, log }: Ground, tenant: string, seed: Seed): Promise<void> {
  const { templateId } = seed;
  const definition = definitionOf(parse(zPodDefinition, templateId, seed.definition));
  const stored = await templates(store).get(templateId);
  if (stored && stored.value.permissions[owner] !== 'ADMIN') {
    log.warn({ template: templateId }, 'a user has a template of this name, ours is not planted');
    return;
  }
  const nowMs = clock.nowMs();
  const template = stored?.value ?? newTemplate(seed, tenant, nowMs);
  const newest = template.tags.findLast(({ tag }) => tag === 'latest');
  const before =
    newest && (await tagDefinitions(store).get(`${templateId}:${newest.timestamp}`))?.value;
  const texts = { description: seed.description, metatags: [...seed.metatags] };
  if (isDeepStrictEqual(before, definition)) {
    const { description, metatags } = template;
    if (!stored || isDeepStrictEqual({ description, metatags }, texts)) return;
    const next = { ...template, ...texts, updatedAtMs: nowMs };
    await templates(store).put(templateId, next, { version: stored.version });
    return;
  }
  const said = { tag: 'latest', commitMessage: 'Comes with Podgate.', addedBy: owner, definition };
  const { next } = await addTag(store, template, { ...said, nowMs, passedOverMs: 0 });
  const expected = stored ? { version: stored.version } : 'absent';
  await templates(store).put(templateId, { ...next, ...texts, updatedAtMs: nowMs }, expected);
  await allow(store, definition, nowMs);
}

const newTemplate = (seed: Seed, tenant: string, nowMs: number): Template => ({
  templateId: seed.templateId,
  tenant,
  description: seed.description,
  metatags: [...seed.metatags],
  archiveMessage: '',
  permissions: { [owner]: 'ADMIN', '**': 'READ' },
  tags: [],
  createdAtMs: nowMs,
  updatedAtMs: nowMs,
});

/** A template whose image nobody may run would be of no use. */
async function allow(store: Store, { image = '' }: Definition, nowMs: number): Promise<void> {
  const name = imageName(image);
  const builtin: readonly string[] = Object.values(builtinImages);
  if (builtin.includes(name) || (await allowedImages(store).get(name))) return;
  const description = 'For the template that comes with Podgate.';
  const entry = { image: name, tenants: ['*'], description, addedBy: owner, createdAtMs: nowMs };
  await allowedImages(store).put(name, entry, 'absent');
}
