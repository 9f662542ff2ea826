import { EventEmitter } from 'node:events';
import { randomUUID } from 'node:crypto';
import { StatusError } from './status.ts';

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  creationTimestamp: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  managedFields?: ManagedFields[];
}

export interface ManagedFields {
  manager: string;
  operation: 'Apply' | 'Update';
  subresource?: string;
  apiVersion: string;
  fieldsType: 'FieldsV1';
  fieldsV1: Record<string, unknown>;
  time: string;
}

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

export interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly resource: string;
  readonly version: number;
  readonly object: KubeObject;
  /** Before the change: who selects by labels may see it leave. */
  readonly before: KubeObject | undefined;
}

// Of etcd compacted every few minutes.
const historyMax = 50_000;

/** What etcd and the watch cache are to an API server: objects, one version for all, changes. */
export class Store {
  readonly changes = new EventEmitter().setMaxListeners(0);
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  #history: Change[] = [];
  #version = 1;
  #oldest = 1;

  get version(): number {
    return this.#version;
  }

  list(resource: string): KubeObject[] {
    return [...(this.#objects.get(resource)?.values() ?? [])];
  }

  get(resource: string, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#objects.get(resource)?.get(keyOf(namespace, name));
  }

  create(resource: string, object: KubeObject): KubeObject {
    const { namespace, name } = object.metadata;
    if (this.get(resource, namespace, name))
      throw new StatusError(409, 'AlreadyExists', `${resource} "${name}" already exists`);
    const made = structuredClone(object);
    made.metadata.uid = randomUUID();
    made.metadata.creationTimestamp = seconds(new Date());
    return this.#put('ADDED', resource, made, undefined);
  }

  /** A write that changes nothing makes no version. */
  update(resource: string, object: KubeObject): KubeObject {
    const { namespace, name } = object.metadata;
    const before = this.get(resource, namespace, name);
    if (!before) throw notFound(resource, name);
    if (same(before, object)) return before;
    return this.#put('MODIFIED', resource, structuredClone(object), before);
  }

  delete(resource: string, object: KubeObject): KubeObject {
    const { namespace, name } = object.metadata;
    this.#objects.get(resource)?.delete(keyOf(namespace, name));
    const gone = structuredClone(object);
    return this.#note('DELETED', resource, gone, object);
  }

  /** What came after a version; undefined when that is no longer known. */
  since(version: number): Change[] | undefined {
    if (version < this.#oldest) return undefined;
    return this.#history.filter((change) => change.version > version);
  }

  /** Forgets what happened: whoever goes on from an old version has to list anew. */
  expire(): void {
    this.#history = [];
    this.#oldest = this.#version;
  }

  #put(
    type: Change['type'],
    resource: string,
    object: KubeObject,
    before: KubeObject | undefined,
  ): KubeObject {
    const objects = this.#objects.get(resource) ?? new Map<string, KubeObject>();
    this.#objects.set(resource, objects);
    objects.set(keyOf(object.metadata.namespace, object.metadata.name), object);
    return this.#note(type, resource, object, before);
  }

  #note(
    type: Change['type'],
    resource: string,
    object: KubeObject,
    before: KubeObject | undefined,
  ): KubeObject {
    this.#version += 1;
    object.metadata.resourceVersion = String(this.#version);
    const change: Change = { type, resource, version: this.#version, object, before };
    this.#history.push(change);
    if (this.#history.length > historyMax) {
      this.#history = this.#history.slice(historyMax / 2);
      this.#oldest = (this.#history[0]?.version ?? 1) - 1;
    }
    this.changes.emit('change', change);
    return object;
  }
}

const keyOf = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`;

export const notFound = (resource: string, name: string): StatusError =>
  new StatusError(404, 'NotFound', `${resource} "${name}" not found`);

/** Times in metadata have no fractions. */
export const seconds = (at: Date): string => at.toISOString().replace(/\.\d+Z$/, 'Z');

const same = (a: KubeObject, b: KubeObject): boolean => withoutTimes(a) === withoutTimes(b);

function withoutTimes(object: KubeObject): string {
  const { managedFields = [], ...metadata } = object.metadata;
  const fields = managedFields.map(({ time: _time, ...rest }) => rest);
  return JSON.stringify({ ...object, metadata: { ...metadata, fields } });
}
