import type { Resource } from './resources.ts';
import { isObject, problemsOf } from './schema.ts';
import { StatusError } from './status.ts';
import type { KubeObject } from './store.ts';

/** Refuses what the schema or the rules of a kind refuse: 400 for unknown fields, 422 for values. */
export function validate({ model, kind }: Resource, object: KubeObject): void {
  const problems = problemsOf(object, model);
  const unknown = problems.filter(({ message }) => message.startsWith('unknown field'));
  if (unknown.length > 0) {
    const words = unknown.map(({ message }) => message).join(', ');
    throw new StatusError(400, 'BadRequest', `strict decoding error: ${words}`);
  }
  const wrong = problems.map(({ path, message }) => `${path}: ${message}`);
  const all = [...wrong, ...metadataProblems(object), ...(rules[kind]?.(object) ?? [])];
  if (all.length === 0) return;
  const name = object.metadata.name;
  throw new StatusError(422, 'Invalid', `${kind} "${name}" is invalid: ${all.join(', ')}`);
}

const dnsSubdomain = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const dns1035 = /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/;
const labelValue = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;
const quantity = /^[0-9]+(?:\.[0-9]+)?(?:m|k|Ki|M|Mi|G|Gi)?$/;

function metadataProblems({ kind, metadata }: KubeObject): string[] {
  const found: string[] = [];
  const { name, labels = {} } = metadata;
  if (kind === 'Service' ? !dns1035.test(name) || name.length > 63 : !dnsSubdomain.test(name))
    found.push(`metadata.name: Invalid value: "${name}"`);
  for (const [key, value] of Object.entries(labels))
    if (!labelValue.test(value) || value.length > 63 || (key.split('/').at(-1) ?? '').length > 63)
      found.push(`metadata.labels: Invalid value: "${value}"`);
  return found;
}

const rules: Readonly<Record<string, (object: KubeObject) => string[]>> = {
  Pod: (object) => arrayAt(object, 'spec', 'containers').flatMap(containerProblems),
  Service: (object) => {
    const ports = arrayAt(object, 'spec', 'ports');
    return [
      // A label; only ports of containers have names as IANA gives them.
      ...ports.flatMap((port) => portNameProblems(port, 63)),
      ...(ports.length > 1 && ports.some((port) => !at(port, 'name'))
        ? ['spec.ports: Required value: a name where there are several']
        : []),
    ];
  },
};

function containerProblems(container: unknown): string[] {
  const found = arrayAt(container, 'ports').flatMap((port) => portNameProblems(port, 15));
  for (const kind of ['requests', 'limits'])
    for (const [name, value] of Object.entries(record(at(container, 'resources', kind))))
      if (!quantity.test(String(value))) found.push(`resources.${kind}[${name}]: Invalid value`);
  if (!at(container, 'image')) found.push('spec.containers[0].image: Required value');
  return found;
}

function portNameProblems(port: unknown, lengthMax: number): string[] {
  const name = at(port, 'name');
  if (typeof name !== 'string') return [];
  if (name.length > lengthMax)
    return [`ports.name: Invalid value: "${name}": must be no more than ${lengthMax} characters`];
  return /^[a-z0-9-]*[a-z][a-z0-9-]*$/.test(name) ? [] : [`ports.name: Invalid value: "${name}"`];
}

/** Of a Pod only images, deadlines and tolerations may change once it is made. */
export function checkPodUpdate(before: KubeObject, after: KubeObject): void {
  if (fixed(before) === fixed(after)) return;
  const name = after.metadata.name;
  const words =
    'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`';
  throw new StatusError(422, 'Invalid', `Pod "${name}" is invalid: ${words}`);
}

const record = (value: unknown): Record<string, unknown> => (isObject(value) ? value : {});

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((within, name) => record(within)[name], value);
}

const arrayAt = (value: unknown, ...path: readonly string[]): unknown[] => {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
};

const fixed = (object: KubeObject): string =>
  JSON.stringify({ ...record(object['spec']), activeDeadlineSeconds: 0, tolerations: 0 });
