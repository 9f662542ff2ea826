import { systemClock } from '#adapters/system/clock.ts';
import { applyTo, updatedBy } from './apply.ts';
import type { Target } from './resources.ts';
import { isObject } from './schema.ts';
import { StatusError } from './status.ts';
import type { KubeObject, ObjectMeta, Store } from './store.ts';
import { notFound, seconds } from './store.ts';
import { checkPodUpdate, validate } from './validation.ts';

interface Write extends Target {
  readonly query: URLSearchParams;
  readonly type: string;
  readonly body: unknown;
}

interface Answer {
  readonly code: number;
  readonly answer: unknown;
}

const defaultGraceSeconds = 30;

/** One object at a time: what is asked of it, and what the API server makes of that. */
export class Writes {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  handle(method: string, write: Write): Answer {
    const { name, subresource } = write;
    if (method === 'POST' && subresource === 'binding') return this.#bind(write);
    if (method === 'POST' && subresource === 'eviction') return this.#evict(write);
    if (method === 'POST') return { code: 201, answer: this.#create(write) };
    if (method === 'GET') return { code: 200, answer: this.#find(write) };
    if (method === 'PATCH' && write.type.includes('apply-patch')) return this.#apply(write);
    if (method === 'PATCH') return { code: 200, answer: this.#patch(write) };
    if (method === 'DELETE' && name === undefined) return this.#deleteAll(write);
    if (method === 'DELETE') return { code: 200, answer: this.#delete(write, this.#find(write)) };
    throw new StatusError(405, 'MethodNotAllowed', `${method} is not supported`);
  }

  #find({ resource: { plural }, namespace, name = '' }: Target): KubeObject {
    const found = this.#store.get(plural, namespace, name);
    if (!found) throw notFound(plural, name);
    return found;
  }

  #create(write: Write): KubeObject {
    const { resource, query } = write;
    const object = this.#readObject(write);
    this.#checkNamespace(write);
    if (resource.kind === 'Pod') object['status'] = { phase: 'Pending' };
    validate(resource, object);
    if (query.get('dryRun') === 'All') return object;
    return this.#store.create(
      resource.plural,
      updatedBy(object, query.get('fieldManager') ?? 'unknown'),
    );
  }

  #apply(write: Write): Answer {
    const { resource, namespace, name = '', query } = write;
    const manager = query.get('fieldManager');
    if (!manager)
      throw new StatusError(400, 'BadRequest', 'fieldManager is required for apply patch');
    const applied = this.#readObject(write);
    if (applied.metadata.name !== name)
      throw new StatusError(400, 'BadRequest', 'metadata.name does not match the path');
    this.#checkNamespace(write);
    const live = this.#store.get(resource.plural, namespace, name);
    const result = applyTo(live, applied, manager, query.get('force') === 'true');
    validate(resource, result);
    if (live && resource.kind === 'Pod') checkPodUpdate(live, result);
    if (query.get('dryRun') === 'All') return { code: 200, answer: result };
    return live
      ? { code: 200, answer: this.#store.update(resource.plural, result) }
      : { code: 201, answer: this.#store.create(resource.plural, result) };
  }

  /** Merges objects and replaces lists; of a status' conditions those of other types stay. */
  #patch(write: Write): KubeObject {
    const { resource, subresource, body } = write;
    const live = this.#find(write);
    if (!isObject(body)) throw new StatusError(400, 'BadRequest', 'a patch is an object');
    const metadata = isObject(body['metadata']) ? body['metadata'] : {};
    if (metadata['uid'] !== undefined && metadata['uid'] !== live.metadata.uid)
      throw new StatusError(409, 'Conflict', 'Precondition failed: UID in precondition');
    const version = metadata['resourceVersion'];
    if (version !== undefined && version !== live.metadata.resourceVersion)
      throw new StatusError(409, 'Conflict', 'the object has been modified');
    const { status, ...rest } = body;
    const part = subresource === 'status' ? { status } : rest;
    const result = merged(structuredClone(live), part) as KubeObject;
    if (write.type.includes('strategic-merge')) keepConditions(live, result);
    validate(resource, result);
    if (resource.kind === 'Pod') checkPodUpdate(live, result);
    return this.#store.update(resource.plural, result);
  }

  #bind(write: Write): Answer {
    const pod = this.#find(write);
    const spec = isObject(pod['spec']) ? pod['spec'] : {};
    const target =
      isObject(write.body) && isObject(write.body['target']) ? write.body['target'] : {};
    if (spec['nodeName'])
      throw new StatusError(409, 'Conflict', 'pod is already assigned to a node');
    this.#store.update('pods', {
      ...pod,
      metadata: { ...pod.metadata },
      spec: { ...spec, nodeName: target['name'] },
    });
    return {
      code: 201,
      answer: { kind: 'Status', apiVersion: 'v1', status: 'Success', code: 201 },
    };
  }

  #evict(write: Write): Answer {
    const pod = this.#find(write);
    const options = isObject(write.body) ? write.body['deleteOptions'] : undefined;
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'EvictionByEvictionAPI',
      message: 'Eviction API: evicting',
    };
    const told = structuredClone(pod);
    told['status'] = { ...(isObject(pod['status']) ? pod['status'] : {}), conditions: [condition] };
    keepConditions(pod, told);
    this.#delete({ ...write, body: options }, this.#store.update('pods', told));
    return {
      code: 201,
      answer: { kind: 'Status', apiVersion: 'v1', status: 'Success', code: 201 },
    };
  }

  /** Pods on a node end there first; its kubelet then deletes them with no grace. */
  #delete({ resource, body, query }: Write, object: KubeObject): KubeObject {
    const options = isObject(body) ? body : {};
    const { uid } = isObject(options['preconditions']) ? options['preconditions'] : {};
    if (uid !== undefined && uid !== object.metadata.uid)
      throw new StatusError(409, 'Conflict', `Precondition failed: UID in precondition`);
    const asked = options['gracePeriodSeconds'] ?? query.get('gracePeriodSeconds') ?? undefined;
    const grace = graceOf(object, asked === undefined ? undefined : Number(asked));
    if (resource.kind !== 'Pod' || grace === 0) return this.#store.delete(resource.plural, object);
    const metadata: ObjectMeta = { ...object.metadata };
    const before = metadata.deletionGracePeriodSeconds ?? Infinity;
    if (grace < before) {
      metadata.deletionTimestamp = seconds(new Date(systemClock.nowMs() + grace * 1_000));
      metadata.deletionGracePeriodSeconds = grace;
    }
    return this.#store.update(resource.plural, { ...object, metadata });
  }

  #deleteAll(write: Write): Answer {
    const { resource, namespace, query } = write;
    const labels = (query.get('labelSelector') ?? '').split(',').filter(Boolean);
    for (const object of this.#store.list(resource.plural)) {
      const matches = labels.every((term) => {
        const [name = '', value] = term.split('=');
        return object.metadata.labels?.[name] === value;
      });
      if (object.metadata.namespace === namespace && matches) this.#delete(write, object);
    }
    return {
      code: 200,
      answer: { kind: `${resource.kind}List`, apiVersion: 'v1', metadata: {}, items: [] },
    };
  }

  #readObject({ resource, namespace, body }: Write): KubeObject {
    if (!isObject(body) || !isObject(body['metadata']))
      throw new StatusError(400, 'BadRequest', 'an object with metadata is expected');
    const version = resource.group ? `${resource.group}/v1` : 'v1';
    if (body['kind'] !== resource.kind || body['apiVersion'] !== version)
      throw new StatusError(400, 'BadRequest', `expected ${version} ${resource.kind}`);
    const metadata = { ...body['metadata'], ...(namespace ? { namespace } : {}) };
    return structuredClone({ ...body, metadata }) as unknown as KubeObject;
  }

  #checkNamespace({ resource, namespace }: Write): void {
    if (!resource.namespaced || (namespace && this.#store.get('namespaces', undefined, namespace)))
      return;
    throw notFound('namespaces', namespace ?? '');
  }
}

/** Nothing has to end of what has no node, or has ended. */
function graceOf(object: KubeObject, asked: number | undefined): number {
  const spec = isObject(object['spec']) ? object['spec'] : {};
  const status = isObject(object['status']) ? object['status'] : {};
  if (!spec['nodeName'] || status['phase'] === 'Failed' || status['phase'] === 'Succeeded')
    return 0;
  return asked ?? Number(spec['terminationGracePeriodSeconds'] ?? defaultGraceSeconds);
}

/** Conditions are merged by their type. */
function keepConditions(before: KubeObject, after: KubeObject): void {
  const status = isObject(after['status']) ? after['status'] : {};
  const [old, current] = [conditionsOf(before), conditionsOf(after)];
  const kept = old.filter(({ type }) => !current.some((condition) => condition.type === type));
  if (kept.length > 0) status['conditions'] = [...current, ...kept];
}

function conditionsOf({ status }: KubeObject): readonly { readonly type?: unknown }[] {
  const conditions = isObject(status) ? status['conditions'] : undefined;
  return Array.isArray(conditions) ? conditions.filter(isObject) : [];
}

/** RFC 7396. */
function merged(onto: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result = isObject(onto) ? onto : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = merged(result[name], value);
  }
  return result;
}
