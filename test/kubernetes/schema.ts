import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as client from '@kubernetes/client-node';

/**
 * The published OpenAPI of Kubernetes, as the client library was generated from it: names and types
 * of all fields are in its models, and which are required in their declarations.
 */

interface Field {
  readonly baseName: string;
  readonly type: string;
}

const models = new Map<string, readonly Field[]>();
for (const [name, value] of Object.entries(client)) {
  if (typeof value !== 'function' || !('getAttributeTypeMap' in value)) continue;
  const model = value as unknown as { getAttributeTypeMap(): readonly Field[] };
  models.set(name, model.getAttributeTypeMap());
}

const folder = join(
  dirname(fileURLToPath(import.meta.resolve('@kubernetes/client-node'))),
  'gen/models',
);
const required = new Map<string, readonly string[]>();

function requiredOf(model: string): readonly string[] {
  const known = required.get(model);
  if (known) return known;
  const text = readFileSync(join(folder, `${model}.d.ts`), 'utf8');
  const names = [...text.matchAll(/^ {4}'(\w+)': /gm)].map(([, name = '']) => name);
  const wire = new Set(models.get(model)?.map(({ baseName }) => baseName));
  const found = names.map((name) => (wire.has(name) ? name : name.replace(/^_/, '')));
  required.set(model, found);
  return found;
}

interface Problem {
  readonly path: string;
  readonly message: string;
}

/** Every place where a value is not what the schema says, as the API server words it. */
export function problemsOf(value: unknown, type: string, path = ''): Problem[] {
  const items = /^Array<(.+)>$/.exec(type)?.[1];
  const values = /^\{ \[key: string\]: (.+); \}$/.exec(type)?.[1];
  if (items !== undefined) {
    if (!Array.isArray(value)) return [{ path, message: 'must be an array' }];
    return value.flatMap((item, i) => problemsOf(item, items, `${path}[${i}]`));
  }
  if (values !== undefined) {
    if (!isObject(value)) return [{ path, message: 'must be an object' }];
    return Object.entries(value).flatMap(([key, each]) =>
      problemsOf(each, values, `${path}.${key}`),
    );
  }
  const fields = models.get(type);
  return fields ? problemsOfModel(value, type, fields, path) : problemsOfScalar(value, type, path);
}

function problemsOfModel(
  value: unknown,
  type: string,
  fields: readonly Field[],
  path: string,
): Problem[] {
  if (!isObject(value)) return [{ path, message: 'must be an object' }];
  const byName = new Map(fields.map((field) => [field.baseName, field]));
  const missing = requiredOf(type)
    .filter((name) => value[name] === undefined || value[name] === null)
    .map((name) => ({ path: fieldOf(path, name), message: 'Required value' }));
  const wrong = Object.entries(value).flatMap(([name, each]) => {
    const field = byName.get(name);
    if (!field)
      return [{ path: fieldOf(path, name), message: `unknown field "${fieldOf(path, name)}"` }];
    return each === null ? [] : problemsOf(each, field.type, fieldOf(path, name));
  });
  return [...missing, ...wrong];
}

function problemsOfScalar(value: unknown, type: string, path: string): Problem[] {
  const ok =
    type === 'any' ||
    (type === 'IntOrString' && (typeof value === 'number' || typeof value === 'string')) ||
    ((type === 'Date' || type === 'V1MicroTime') && isTime(value)) ||
    typeof value === type;
  return ok ? [] : [{ path, message: `must be ${type}, not ${JSON.stringify(value)}` }];
}

const isTime = (value: unknown): boolean =>
  typeof value === 'string' && !Number.isNaN(Date.parse(value));

const fieldOf = (path: string, name: string): string => (path ? `${path}.${name}` : name);

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
