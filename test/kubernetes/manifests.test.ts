import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { rights } from '../../controller/runtime/kubernetes/rights.ts';
import { root } from '../integration/standalone.ts';
import { isObject, problemsOf } from './schema.ts';

const folder = join(root, 'deploy', 'kubernetes');
const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));

const objects = files
  .filter((file) => file !== 'kustomization.yaml')
  .flatMap((file) =>
    parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((document): unknown =>
      document.toJS(),
    ),
  )
  .filter(isObject);

test('every manifest is as the OpenAPI of Kubernetes has it', () => {
  expect(objects.length).toBeGreaterThan(15);
  for (const object of objects) {
    const kind = String(object['kind']);
    const problems = problemsOf(object, `V1${kind}`);
    expect(problems, `${kind} ${JSON.stringify(object['metadata'])}`).toEqual([]);
  }
});

test('the role grants what the controller asks for, and nothing more', () => {
  const role = objects.find(({ kind }) => kind === 'Role');
  const rules = Array.isArray(role?.['rules']) ? role['rules'].filter(isObject) : [];
  const granted = rules.flatMap((rule) =>
    list(rule['resources']).flatMap((resource) =>
      list(rule['verbs']).map((verb) => `${verb} ${resource}`),
    ),
  );
  const asked = rights.flatMap(({ resource, subresource, verbs }) =>
    verbs.map((verb) => `${verb} ${[resource, subresource].filter(Boolean).join('/')}`),
  );
  expect(granted.toSorted()).toEqual(asked.toSorted());
});

const list = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);
