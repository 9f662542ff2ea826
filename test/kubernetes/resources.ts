/** What the double serves: plural, model of the client library, and how. */
export interface Resource {
  readonly plural: string;
  readonly group: '' | 'networking.k8s.io';
  readonly kind: string;
  readonly model: string;
  readonly namespaced: boolean;
}

const core = (plural: string, kind: string, model = `V1${kind}`, namespaced = true): Resource => ({
  plural,
  group: '',
  kind,
  model,
  namespaced,
});

const resources: readonly Resource[] = [
  core('pods', 'Pod'),
  core('secrets', 'Secret'),
  core('services', 'Service'),
  core('events', 'Event', 'CoreV1Event'),
  core('namespaces', 'Namespace', 'V1Namespace', false),
  core('nodes', 'Node', 'V1Node', false),
  {
    plural: 'networkpolicies',
    group: 'networking.k8s.io',
    kind: 'NetworkPolicy',
    model: 'V1NetworkPolicy',
    namespaced: true,
  },
];

export interface Target {
  readonly resource: Resource;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/** What a path means; undefined: nothing that is served. */
export function targetOf(path: string): Target | undefined {
  const parts = path.split('/').slice(1).map(decodeURIComponent);
  const group = parts[0] === 'api' ? '' : parts[1];
  const rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  const within = rest[0] === 'namespaces' && rest.length > 2;
  const namespace = within ? rest[1] : undefined;
  const [plural, name, subresource] = within ? rest.slice(2) : rest;
  const resource = resources.find((each) => each.plural === plural && each.group === group);
  return resource && { resource, namespace, name, subresource };
}
