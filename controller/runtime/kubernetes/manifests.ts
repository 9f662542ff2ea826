import type {
  V1Container,
  V1NetworkPolicy,
  V1Pod,
  V1PodSpec,
  V1ResourceRequirements,
  V1Secret,
  V1Service,
} from '@kubernetes/client-node';
import { expandEnvironment } from '../expand.ts';
import { noGpus, withoutGpuChoice } from '../no-gpus.ts';
import type { RunNetwork, RunSpec } from '../runtime.ts';
import type { Naming } from './names.ts';
import {
  annotationOf,
  keyLabel,
  digest,
  gpuResource,
  runAnnotation,
  systemLabel,
  tenantLabel,
} from './names.ts';

/** What Kubernetes gives a pod that nobody stops by us. */
const graceSeconds = 30;
/** Nodes of a queue carry this label, and may carry a taint of the same name. */
const queueLabel = 'podgate.io/queue';
const dockerHub = 'https://index.docker.io/v1/';

/** All objects that a run of a pod consists of; the Pod itself comes last. */
export interface Manifests {
  readonly secret: V1Secret;
  readonly pullSecret: V1Secret | undefined;
  readonly policy: V1NetworkPolicy;
  readonly service: V1Service | undefined;
  readonly pod: V1Pod;
}

/** Pure: what a run looks like in a cluster. Secrets stand in the Secrets only. */
export function manifestsOf(spec: RunSpec, naming: Naming): Manifests {
  const environment = withoutGpuChoice(spec.environment);
  const metadata = {
    name: naming.objectName(spec.key),
    namespace: naming.namespaceOf(spec.tenant),
    labels: naming.labels(spec.key, spec.tenant),
  };
  const local = spec.networks.filter(({ protocol }) => protocol === 'local_only');
  return {
    secret: {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata,
      type: 'Opaque',
      data: base64(expandEnvironment(portVariables(spec.networks), environment)),
    },
    pullSecret: pullSecretOf(spec, { ...metadata, name: `${metadata.name}-pull` }),
    policy: policyOf(spec, metadata),
    service:
      local.length === 0
        ? undefined
        : {
            apiVersion: 'v1',
            kind: 'Service',
            metadata: { ...metadata, name: naming.serviceName(spec.key, spec.podId) },
            spec: {
              selector: { [keyLabel]: digest(spec.key) },
              ports: local.map(({ port }) => ({ ...portName(port), port, protocol: 'TCP' })),
            },
          },
    pod: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        ...metadata,
        annotations: { [runAnnotation]: JSON.stringify(annotationOf(spec)) },
      },
      spec: podSpecOf(spec, metadata.name),
    },
  };
}

function podSpecOf(spec: RunSpec, name: string): V1PodSpec {
  const { computeQueue, privileges, registry } = spec;
  const queue = computeQueue === 'default' ? undefined : computeQueue;
  return {
    // Restarts are decided by the controller, alike on every runtime.
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: graceSeconds,
    securityContext: {
      seccompProfile: { type: 'RuntimeDefault' },
      ...(privileges.root ? {} : unprivileged(privileges.user)),
    },
    ...(registry ? { imagePullSecrets: [{ name: `${name}-pull` }] } : {}),
    ...(queue
      ? {
          nodeSelector: { [queueLabel]: queue },
          tolerations: [{ key: queueLabel, operator: 'Equal', value: queue, effect: 'NoSchedule' }],
        }
      : {}),
    containers: [containerOf(spec, name)],
  };
}

/** A node cannot tell whom an image becomes that begins as root, and would refuse it. */
const unprivileged = (user: number | null) => ({
  runAsNonRoot: true,
  ...(user !== null && { runAsUser: user, runAsGroup: user }),
});

function containerOf(spec: RunSpec, name: string): V1Container {
  const { privileges, networks } = spec;
  const probed = probedNetwork(networks);
  const given = { ...portVariables(networks), ...noGpus(spec.resources.gpus) };
  const variables = Object.entries(given);
  return {
    name: 'pod',
    image: spec.image,
    ...(spec.command ? { command: [...spec.command] } : {}),
    ...(spec.arguments ? { args: [...spec.arguments] } : {}),
    envFrom: [{ secretRef: { name } }],
    // Win over those from the Secret: nothing else is routed.
    env: variables.map(([variable, value]) => ({ name: variable, value })),
    ports: networks.map(({ port }) => ({
      ...portName(port),
      containerPort: port,
      protocol: 'TCP',
    })),
    resources: resourcesOf(spec),
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: {
        drop: ['ALL'],
        ...(privileges.capabilities.length > 0 ? { add: [...privileges.capabilities] } : {}),
      },
    },
    ...(probed
      ? {
          readinessProbe: {
            tcpSocket: { port: probed.port },
            periodSeconds: 1,
            timeoutSeconds: 1,
            failureThreshold: 3,
          },
        }
      : {}),
    // When the output of a lost node cannot be had, this is all that is known.
    terminationMessagePolicy: 'FallbackToLogsOnError',
  };
}

/** Whose listening makes the pod ready: `default`, else the first that is routed. */
export const probedNetwork = (networks: readonly RunNetwork[]): RunNetwork | undefined => {
  const routed = networks.filter(({ protocol }) => protocol !== 'local_only');
  return routed.find(({ name }) => name === 'default') ?? routed[0];
};

/** `PORT` and `PORT_<NAME>`, as on every runtime. */
function portVariables(networks: readonly RunNetwork[]): Record<string, string> {
  const first = networks.find(({ name }) => name === 'default') ?? networks[0];
  const named = networks.map(({ name, port }) => [`PORT_${name.toUpperCase()}`, String(port)]);
  return { ...(first ? { PORT: String(first.port) } : {}), ...Object.fromEntries(named) };
}

/** Names of ports have 15 characters at most, those of networks may have more. */
const portName = (port: number): { name: string } => ({ name: `tcp-${port}` });

function resourcesOf({ resources }: RunSpec): V1ResourceRequirements {
  const { cpuRequestMilli, cpuLimitMilli, memoryRequestMi, memoryLimitMi, gpus } = resources;
  return {
    requests: { cpu: `${cpuRequestMilli}m`, memory: `${memoryRequestMi}Mi` },
    limits: {
      cpu: `${cpuLimitMilli}m`,
      memory: `${memoryLimitMi}Mi`,
      ...(gpus > 0 ? { [gpuResource]: String(gpus) } : {}),
    },
  };
}

function pullSecretOf(
  { registry }: RunSpec,
  metadata: NonNullable<V1Secret['metadata']>,
): V1Secret | undefined {
  if (!registry) return undefined;
  const { server, username, password } = registry;
  const host = server === 'docker.io' ? dockerHub : server;
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  const config = { auths: { [host]: { username, password, auth } } };
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata,
    type: 'kubernetes.io/dockerconfigjson',
    data: base64({ '.dockerconfigjson': JSON.stringify(config) }),
  };
}

/** Podgate itself reaches what is routed, pods of the same tenant what is `local_only`; nobody else. */
function policyOf(
  { key, tenant, networks }: RunSpec,
  metadata: NonNullable<V1NetworkPolicy['metadata']>,
): V1NetworkPolicy {
  const portsOf = (local: boolean) =>
    networks
      .filter(({ protocol }) => (protocol === 'local_only') === local)
      .map(({ port }) => ({ port, protocol: 'TCP' }));
  const system = { matchLabels: { [systemLabel]: 'true' } };
  const peers = { matchLabels: { [tenantLabel]: digest(tenant) } };
  const rules = [
    { from: [{ namespaceSelector: system, podSelector: system }], ports: portsOf(false) },
    { from: [{ podSelector: peers }], ports: portsOf(true) },
  ];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata,
    spec: {
      podSelector: { matchLabels: { [keyLabel]: digest(key) } },
      policyTypes: ['Ingress'],
      // Without ports a rule would admit to all of them.
      ingress: rules.filter(({ ports }) => ports.length > 0),
    },
  };
}

const base64 = (texts: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(texts).map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
  );
