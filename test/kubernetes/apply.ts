import { isObject } from './schema.ts';
import { StatusError } from './status.ts';
import type { KubeObject, ManagedFields } from './store.ts';

type Fields = Record<string, unknown>;

/**
 * Server-side apply: fields that a manager applied and leaves out now go, those that another manager
 * owns with another value are a conflict unless it is forced. Lists count as one field.
 */
export function applyTo(
  live: KubeObject | undefined,
  applied: KubeObject,
  manager: string,
  force: boolean,
): KubeObject {
  const result: KubeObject = live ? structuredClone(live) : { ...structuredClone(applied) };
  const managed = (live?.metadata.managedFields ?? []).map((each) => structuredClone(each));
  const own = managed.find((each) => each.manager === manager && each.operation === 'Apply');
  const wanted = leaves(withoutIdentity(applied));
  for (const other of managed) {
    if (other === own) continue;
    const conflicts = leaves(other.fieldsV1, true)
      .map(({ path }) => path)
      .filter((path) => {
        const mine = wanted.find((leaf) => same(leaf.path, path));
        return mine && JSON.stringify(mine.value) !== JSON.stringify(valueAt(result, path));
      });
    if (conflicts.length > 0 && !force) throw conflict(other.manager, conflicts);
    for (const path of conflicts) removeAt(other.fieldsV1, path.map(fieldKey));
  }
  for (const { path } of own ? leaves(own.fieldsV1, true) : [])
    if (!wanted.some((leaf) => same(leaf.path, path))) removeAt(result, path);
  for (const { path, value } of wanted)
    // A map without entries takes nothing away from those of others.
    if (!isObject(value) || !isObject(valueAt(result, path))) setAt(result, path, value);
  const entry: ManagedFields = {
    manager,
    operation: 'Apply',
    apiVersion: applied.apiVersion,
    time: new Date().toISOString(),
    fieldsType: 'FieldsV1',
    fieldsV1: fieldsOf(wanted.map(({ path }) => path)),
  };
  const others = managed.filter((each) => each !== own && Object.keys(each.fieldsV1).length > 0);
  result.metadata.managedFields = [...others, entry];
  return result;
}

/** Who writes without applying owns what he wrote, too. */
export function updatedBy(object: KubeObject, manager: string, subresource?: string): KubeObject {
  const entry: ManagedFields = {
    manager,
    operation: 'Update',
    apiVersion: object.apiVersion,
    time: new Date().toISOString(),
    fieldsType: 'FieldsV1',
    fieldsV1: fieldsOf(leaves(withoutIdentity(object)).map(({ path }) => path)),
    ...(subresource ? { subresource } : {}),
  };
  const others = object.metadata.managedFields?.filter((each) => each.manager !== manager) ?? [];
  object.metadata.managedFields = [...others, entry];
  return object;
}

function withoutIdentity(object: KubeObject): Fields {
  const { labels, annotations } = object.metadata;
  const { apiVersion: _version, kind: _kind, status: _status, ...rest } = object;
  const metadata = { ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) };
  return { ...rest, metadata };
}

interface Leaf {
  readonly path: readonly string[];
  readonly value: unknown;
}

function leaves(value: Fields, isFieldSet = false, path: readonly string[] = []): Leaf[] {
  return Object.entries(value).flatMap(([key, each]): Leaf[] => {
    const here = [...path, isFieldSet ? key.replace(/^f:/, '') : key];
    const inner = isObject(each) && Object.keys(each).length > 0;
    return inner ? leaves(each, isFieldSet, here) : [{ path: here, value: each }];
  });
}

const fieldKey = (name: string): string => `f:${name}`;

function fieldsOf(paths: readonly (readonly string[])[]): Fields {
  const fields: Fields = {};
  for (const path of paths) setAt(fields, path.map(fieldKey), {});
  return fields;
}

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((part, i) => part === b[i]);

const valueAt = (object: Fields, path: readonly string[]): unknown =>
  path.reduce<unknown>((within, name) => (isObject(within) ? within[name] : undefined), object);

function setAt(object: Fields, path: readonly string[], value: unknown): void {
  const [first = '', ...rest] = path;
  if (rest.length === 0) {
    object[first] = structuredClone(value);
    return;
  }
  const within = object[first];
  const inner: Fields = isObject(within) ? within : {};
  object[first] = inner;
  setAt(inner, rest, value);
}

function removeAt(object: Fields, path: readonly string[]): void {
  const [first = '', ...rest] = path;
  const inner = object[first];
  if (rest.length > 0 && isObject(inner)) {
    removeAt(inner, rest);
    if (Object.keys(inner).length > 0) return;
  }
  if (rest.length === 0 || isObject(inner)) delete object[first];
}

function conflict(manager: string, paths: readonly (readonly string[])[]): StatusError {
  const fields = paths.map((path) => `.${path.join('.')}`).join(', ');
  const words = `Apply failed with ${paths.length} conflict: conflict with "${manager}": ${fields}`;
  return new StatusError(409, 'Conflict', words);
}
