import type { Definition, Layer } from '#contracts/pod.ts';
import type { TagEntry, Template } from './records.ts';
import { addTag, tagDefinitions, templates } from './records.ts';
import { WriteConflict } from '#contracts/store.ts';
import type { PermissionLevel } from '#contracts/pod.ts';
import type { Acting } from '../access/declared.ts';
import { allows } from '../access/levels.ts';
import type { Caller } from '../auth/caller.ts';
import { requireMatch } from '../entity-tag.ts';
import { Invalid, Refused } from '../errors.ts';
import { definitionOf, placeholderProblems } from '../pods/shape.ts';
import type { ApiPorts } from '../ports.ts';
import { retrying } from '../retrying.ts';
import { isShared, refuseSharing, templateLevel } from './access.ts';
import { presentTag, presentTemplate } from './present.ts';
import { parseReference } from './reference.ts';
import type {
  NewTag,
  NewTemplate,
  UpdateTemplate,
  WireTag,
  WireTemplate,
  WireTemplateWithTags,
} from './schemas.ts';

/** Tags are part of their template: they have its version. */
type WireTags = { readonly tags: WireTag[]; readonly version: number };

const layersMax = 20;
const tagsMax = 1000;
// A pod keeps what its templates say, and everybody who lists pods reads it.
const definitionBytesMax = 64 * 1024;
const chainBytesMax = 256 * 1024;

/** A chain of templates with the name it starts from, fully resolved. */
export interface Chain {
  readonly ref: string;
  /** Closest first. */
  readonly layers: readonly Layer[];
}

/** The operations on templates and tags. Throws `Refused`, `Invalid`. */
export class TemplateService {
  readonly #ports: ApiPorts;

  constructor(ports: ApiPorts) {
    this.#ports = ports;
  }

  async list(caller: Caller): Promise<WireTemplate[]> {
    return (await this.#readable(caller)).map(presentTemplate);
  }

  /** By template id, with tags newest first. */
  async listWithTags(caller: Caller, full: boolean): Promise<Record<string, WireTemplateWithTags>> {
    const readable = await this.#readable(caller);
    const entries = readable.map(async (template) => {
      const tags = await this.#presentTags(template, template.tags, full);
      return [template.templateId, { ...presentTemplate(template), tags }] as const;
    });
    return Object.fromEntries(await Promise.all(entries));
  }

  async add(body: NewTemplate, caller: Acting): Promise<WireTemplate> {
    const nowMs = this.#ports.clock.nowMs();
    const template: Template = {
      templateId: body.template_id,
      tenant: caller.tenant,
      description: body.description,
      metatags: body.metatags,
      archiveMessage: body.archive_message,
      permissions: { [caller.username]: 'ADMIN' },
      tags: [],
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    };
    try {
      await templates(this.#ports.store).put(template.templateId, template, 'absent');
    } catch (error) {
      if (!(error instanceof WriteConflict)) throw error;
      const text = `Template with template_id '${template.templateId}' already exists, choose another.`;
      throw new Refused(409, text);
    }
    return presentTemplate(template);
  }

  async get(id: string, caller: Acting): Promise<{ template: WireTemplate; version: number }> {
    const { template, version } = await this.#find(id, caller);
    return { template: presentTemplate(template), version };
  }

  /** With `changed` false the template as it was. */
  async update(
    id: string,
    body: UpdateTemplate,
    caller: Acting,
  ): Promise<{ template: WireTemplate; changed: boolean }> {
    let changed = false;
    const updated = await this.#edit(id, caller, (template) => {
      const next = {
        ...template,
        description: body.description ?? template.description,
        metatags: body.metatags ?? template.metatags,
        archiveMessage: body.archive_message ?? template.archiveMessage,
      };
      changed = JSON.stringify(next) !== JSON.stringify(template);
      return changed ? { ...next, updatedAtMs: this.#ports.clock.nowMs() } : template;
    });
    return { template: presentTemplate(updated), changed };
  }

  /** Pods made from it stay as they are. */
  async remove(id: string, caller: Acting): Promise<void> {
    const { store } = this.#ports;
    await retrying(async () => {
      const { template, version } = await this.#find(id, caller);
      await templates(store).remove(id, { version });
      for (const { timestamp } of template.tags)
        await tagDefinitions(store).remove(`${id}:${timestamp}`, 'anything');
    });
  }

  async tags(id: string, caller: Acting, full: boolean): Promise<WireTags> {
    const { template, version } = await this.#find(id, caller);
    return { tags: await this.#presentTags(template, template.tags, full), version };
  }

  /** All versions of a tag, newest first, or the one of `tag@timestamp`. */
  async tag(id: string, tagId: string, caller: Acting): Promise<WireTags> {
    const { template, version } = await this.#find(id, caller);
    const found = template.tags.filter(
      ({ tag, timestamp }) => tagId === tag || tagId === timestamp,
    );
    if (found.length === 0) throw noTag(id, tagId);
    return { tags: await this.#presentTags(template, found, true), version };
  }

  async addTag(id: string, body: NewTag, caller: Acting): Promise<WireTag> {
    const { template: below, ...fields } = body.pod_definition;
    const definition = definitionOf(fields);
    const problems = placeholderProblems(definition);
    if (problems.length > 0)
      throw new Invalid(problems.map((text) => text.replace('body, ', 'body, pod_definition, ')));
    const ref = below ? (await this.resolve(below, caller)).ref : undefined;
    return this.saveTag(id, body, { definition: { ...definition, template: ref }, caller });
  }

  /** Adds a version of a tag; its definition is written first, so that the index never lies. */
  saveTag(
    id: string,
    { tag, commit_message: commitMessage }: Pick<NewTag, 'tag' | 'commit_message'>,
    { definition, caller }: { readonly definition: Definition; readonly caller: Acting },
  ): Promise<WireTag> {
    const bytes = bytesOf(definition);
    if (bytes > definitionBytesMax)
      throw new Refused(413, `The definition has ${bytes} bytes, at most ${definitionBytesMax}.`);
    const { store, clock } = this.#ports;
    let takenMs = 0;
    return retrying(async () => {
      const { template, version } = await this.#find(id, caller);
      if (template.tags.length >= tagsMax)
        throw new Refused(409, `Template ${id} has ${tagsMax} tags, more are not kept.`);
      // A second that somebody else is just taking, or that a crash left taken, is passed over.
      const times = { nowMs: clock.nowMs(), passedOverMs: takenMs };
      takenMs += 1000;
      const said = { tag, commitMessage, addedBy: caller.username, definition, ...times };
      const { next, entry } = await addTag(store, template, said);
      await templates(store).put(id, { ...next, updatedAtMs: clock.nowMs() }, { version });
      return presentTag(next, entry, definition);
    });
  }

  async permissions(id: string, caller: Acting): Promise<{ permissions: string[] }> {
    return permissionList((await this.#find(id, caller)).template);
  }

  /** Sets a level, or takes it away with `undefined`; somebody must remain ADMIN. */
  async setPermission(
    id: string,
    { user, level }: { readonly user: string; readonly level: PermissionLevel | undefined },
    caller: Acting,
  ): Promise<{ permissions: string[] }> {
    if (isShared(user)) refuseSharing(level, caller);
    const updated = await this.#edit(id, caller, (template) => {
      const { [user]: _had, ...others } = template.permissions;
      if (level === undefined && !Object.hasOwn(template.permissions, user))
        throw new Invalid([`path, user: '${user}' has no permission on this template`]);
      const permissions =
        level === undefined || level === 'NONE' ? others : { ...others, [user]: level };
      if (!Object.values(permissions).includes('ADMIN'))
        throw new Invalid(['permissions: would leave no user with ADMIN, grant that first']);
      return { ...template, permissions, updatedAtMs: this.#ports.clock.nowMs() };
    });
    return permissionList(updated);
  }

  /**
   * The chain that starts at a reference. The caller may read the first template; what that builds
   * on was chosen by somebody who might read it.
   */
  async resolve(text: string, caller: Caller): Promise<Chain> {
    const first = await this.#resolveOne(text, caller);
    const layers: Layer[] = [first];
    for (let next = first.definition.template; next !== undefined;) {
      if (layers.some(({ ref }) => ref === next))
        throw new Invalid([`body, template: ${next} builds on itself`]);
      if (layers.length === layersMax)
        throw new Invalid([`body, template: ${first.ref} builds on more than ${layersMax} others`]);
      const layer = await this.#resolveOne(next, undefined);
      layers.push(layer);
      if (bytesOf(layers) > chainBytesMax)
        throw new Invalid([`body, template: ${first.ref} and what it builds on say too much`]);
      next = layer.definition.template;
    }
    return { ref: first.ref, layers };
  }

  /** `caller` undefined: it was resolved before, for somebody who might read it. */
  async #resolveOne(text: string, caller: Caller | undefined): Promise<Layer> {
    const reference = parseReference(text);
    const { store } = this.#ports;
    const template = reference && (await templates(store).get(reference.templateId))?.value;
    const readable = template && (!caller || allows(templateLevel(template, caller), 'READ'));
    if (!reference || !readable)
      throw new Invalid([`body, template: there is no template ${text} that you may read`]);
    const entry = newestOf(template.tags, reference);
    const ref = entry && `${reference.templateId}:${entry.timestamp}`;
    const definition = ref && (await tagDefinitions(store).get(ref))?.value;
    if (!ref || !definition) {
      const { timestamp, tag } = reference;
      const text404 = `template ${reference.templateId} has no tag ${timestamp ?? tag}`;
      throw new Invalid([`body, template: ${text404}`]);
    }
    return { ref, definition };
  }

  async #readable(caller: Caller): Promise<Template[]> {
    const { documents } = await templates(this.#ports.store).list();
    return documents
      .map(({ value }) => value)
      .filter((template) => allows(templateLevel(template, caller), 'READ'));
  }

  async #presentTags(
    template: Template,
    entries: readonly TagEntry[],
    full: boolean,
  ): Promise<WireTag[]> {
    const definitions = tagDefinitions(this.#ports.store);
    const presented = entries.toReversed().map(async (entry) => {
      const stored = full
        ? await definitions.get(`${template.templateId}:${entry.timestamp}`)
        : undefined;
      return presentTag(template, entry, stored?.value);
    });
    return Promise.all(presented);
  }

  #edit(id: string, caller: Acting, change: (template: Template) => Template): Promise<Template> {
    return retrying(async () => {
      const { template, version } = await this.#find(id, caller);
      const changed = change(template);
      if (changed !== template) await templates(this.#ports.store).put(id, changed, { version });
      return changed;
    });
  }

  async #find(id: string, caller: Acting): Promise<{ template: Template; version: number }> {
    const stored = await templates(this.#ports.store).get(id);
    const level = stored ? templateLevel(stored.value, caller) : 'NONE';
    // Ids are shared by all tenants: others' templates are not even said to exist.
    const foreign = stored && stored.value.tenant !== caller.tenant && level === 'NONE';
    if (!stored || foreign)
      throw new Refused(404, `Template with identifier template_id: '${id}' not found`);
    if (!allows(level, caller.needed)) {
      const text = `Not authorized: this needs the permission ${caller.needed} on the template ${id}.`;
      throw new Refused(403, text);
    }
    requireMatch(caller.ifMatch, stored.version);
    return { template: stored.value, version: stored.version };
  }
}

const bytesOf = (value: object): number => Buffer.byteLength(JSON.stringify(value));

const newestOf = (
  tags: readonly TagEntry[],
  { tag, timestamp }: { readonly tag: string; readonly timestamp: string | undefined },
): TagEntry | undefined =>
  tags.findLast((entry) =>
    timestamp === undefined ? entry.tag === tag : entry.timestamp === timestamp,
  );

const noTag = (id: string, tag: string): Refused =>
  new Refused(404, `Template tag with identifier tag: '${tag}' of template '${id}' not found`);

const permissionList = ({ permissions }: Template): { permissions: string[] } => ({
  permissions: Object.entries(permissions).map(([user, level]) => `${user}:${level}`),
});
