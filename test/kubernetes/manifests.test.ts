import { expect, test } from 'vitest';
import { rights } from '../../controller/runtime/kubernetes/rights.ts';
import { readManifests } from './deployed.ts';
import { isObject, problemsOf } from './schema.ts';

const objects = readManifests();

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

const workloads = objects
  .filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet')
  .map((object) => {
    const pod = at(object, 'spec', 'template', 'spec');
    const labels = at(object, 'spec', 'template', 'metadata', 'labels');
    return { name: String(at(object, 'metadata', 'name')), labels, pod };
  });

test('no program takes an address of a Service for a setting', () => {
  expect(workloads.length).toBe(6);
  for (const { name, pod } of workloads) expect(at(pod, 'enableServiceLinks'), name).toBe(false);
});

test('what programs mount is what their Pods have as volumes', () => {
  for (const object of objects.filter(({ kind }) => kind === 'Deployment')) {
    const pod = at(object, 'spec', 'template', 'spec');
    const volumes = named(at(pod, 'volumes'));
    const containers = [...items(at(pod, 'containers')), ...items(at(pod, 'initContainers'))];
    const mounted = containers.flatMap((container) => named(at(container, 'volumeMounts')));
    expect(new Set(mounted)).toEqual(new Set(volumes));
  }
});

test('each port is reached by those who need it, and by nobody else', () => {
  const policies = objects
    .filter(({ kind }) => kind === 'NetworkPolicy')
    .map((policy) => at(policy, 'spec'));
  const admitted = workloads.map(({ name, labels }) => {
    const own = policies.filter((policy) => selects(at(policy, 'podSelector'), labels));
    const rules = own.flatMap((policy) => items(at(policy, 'ingress')));
    return [name, rules.map(words).toSorted()];
  });
  const metrics = 'namespaces podgate.io/monitoring=true: 9101-9104';
  expect(Object.fromEntries(admitted)).toEqual({
    gateway: ['anybody: 8443 8080', metrics],
    api: [metrics, 'pods app=gateway: 3000'],
    controller: [metrics],
    certs: [metrics],
    redis: ['pods podgate.io/system=true: 6379'],
    nats: ['pods podgate.io/system=true: 4222'],
  });
  // One that admits nobody is there for what has none of its own.
  expect(
    policies.some((policy) => selects(at(policy, 'podSelector'), {}) && !at(policy, 'ingress')),
  ).toBe(true);
});

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (within, name) => (isObject(within) ? within[name] : undefined),
    value,
  );
}

function items(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function named(value: unknown): string[] {
  return items(value).map((item) => String(at(item, 'name')));
}

function selects(selector: unknown, labels: unknown): boolean {
  return Object.entries(at(selector, 'matchLabels') ?? {}).every(
    ([name, value]) => at(labels, name) === value,
  );
}

/** Who, and which ports. */
function words(rule: unknown): string {
  const from = items(at(rule, 'from')).map((peer) => {
    const [kind, selector] = Object.entries(isObject(peer) ? peer : {})[0] ?? [];
    const labels = Object.entries(at(selector, 'matchLabels') ?? {}).map((pair) => pair.join('='));
    return `${kind === 'podSelector' ? 'pods' : 'namespaces'} ${labels.join(' ')}`;
  });
  const ports = items(at(rule, 'ports')).map((port) =>
    [at(port, 'port'), at(port, 'endPort')].filter(Boolean).join('-'),
  );
  return `${from.join(', ') || 'anybody'}: ${ports.join(' ')}`;
}

const list = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);
