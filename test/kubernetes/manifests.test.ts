import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { rights } from '../../controller/runtime/kubernetes/rights.ts';
import { root } from '../integration/standalone.ts';
import { natsUsers, readManifests } from './deployed.ts';
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

const programs = ['api', 'certs', 'controller', 'gateway'];
/** `Secret/key` that each variable of a workload's container comes from. */
const secretsOf = (workload: string): Record<string, string> => {
  const pod = workloads.find(({ name }) => name === workload)?.pod;
  const variables = items(at(pod, 'containers')).flatMap((container) =>
    items(at(container, 'env')),
  );
  const asked = variables.flatMap((variable) => {
    const key = at(variable, 'valueFrom', 'secretKeyRef');
    return key ? [[String(at(variable, 'name')), [at(key, 'name'), at(key, 'key')].join('/')]] : [];
  });
  return Object.fromEntries(asked);
};

test('each program is the user of NATS that has its name, and knows no password of others', () => {
  for (const program of programs)
    expect(secretsOf(program)).toEqual({ PODGATE_NATS_URL: `podgate-nats-${program}/url` });
  for (const { name, pod } of workloads)
    expect(JSON.stringify(pod).includes('"secretRef":{"name":"podgate"}'), name).toBe(
      name === 'api',
    );
  const users = [...natsUsers.matchAll(/user: (\w+)\n +password: \$(\w+)/g)];
  expect(users.map(([, user]) => String(user)).toSorted()).toEqual(programs);
  expect(secretsOf('nats')).toEqual(
    Object.fromEntries(
      users.map(([, user, variable]) => [variable, `podgate-nats-${user}/password`]),
    ),
  );
  const nats = workloads.find(({ name }) => name === 'nats')?.pod;
  const [server] = items(at(nats, 'containers'));
  const [volume] = items(at(nats, 'volumes'));
  expect(at(server, 'command')).toContain('/config/podgate.conf');
  expect(items(at(server, 'volumeMounts'))).toContainEqual({
    name: at(volume, 'name'),
    mountPath: '/config',
    readOnly: true,
  });
  const made = parse(readFileSync(join(root, 'deploy/nats/kustomization.yaml'), 'utf8')) as unknown;
  expect(items(at(made, 'configMapGenerator'))).toEqual([
    { name: at(volume, 'configMap', 'name'), namespace: 'podgate', files: ['podgate.conf'] },
  ]);
});

test('the guide makes every Secret that there has to be, and addresses with the passwords in them', () => {
  const guide = readFileSync(join(root, 'deploy/kubernetes/README.md'), 'utf8');
  const script = /```sh\n(?<lines>.+?)```/s.exec(guide)?.groups?.['lines'] ?? '';
  const told = 'kubectl() { printf "%s\\n" "$*" >&2; }\n';
  const folder = mkdtempSync(join(tmpdir(), 'podgate-guide-'));
  const { stderr } = spawnSync('sh', ['-euc', `${told}${script}`], {
    cwd: folder,
    encoding: 'utf8',
  });
  rmSync(folder, { recursive: true });
  const lines = stderr.split('\n').filter((line) => line.includes('create secret'));
  const made = lines.map((line) => String(/ generic (\S+)/.exec(line)?.[1]));
  const wanted = [
    'podgate',
    'podgate-key',
    ...programs.map((program) => `podgate-nats-${program}`),
  ];
  expect(made.toSorted()).toEqual(wanted);
  for (const program of programs) {
    const line = lines.find((each) => each.includes(`podgate-nats-${program} `)) ?? '';
    const password = /=password=(p\w{36}) /.exec(line)?.[1];
    expect(line).toContain(`=url=nats://${program}:${password}@nats:4222`);
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
