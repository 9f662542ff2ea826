import { manifestsOf } from '../../controller/runtime/kubernetes/manifests.ts';
import {
  Naming,
  readAnnotation,
  runAnnotation,
} from '../../controller/runtime/kubernetes/names.ts';
import type { RunSpec } from '../../controller/runtime/runtime.ts';
import { ApiDouble } from '../../test/kubernetes/api-double.ts';
import { apiOf, ports } from '../../test/kubernetes/conformance.ts';
import { Kubelet } from '../../test/kubernetes/kubelet.ts';
import type { KubeObject } from '../../test/kubernetes/store.ts';
import type { Times } from '../kubernetes/pods.ts';
import * as terms from '../kubernetes/pods.ts';

/**
 * The double of an API server with a node that gives statuses only, and with as many pods that run
 * already as its argument says. Sends where it is; whatever it is sent, it answers with its findings.
 */

export interface ApiServerReady {
  readonly server: string;
}

export interface Findings {
  /** When it said first that a pod is ready, since the last time. */
  readonly ready: Times;
  /** What the controller asked since the last time, as `method resource` each. */
  readonly requests: readonly string[];
}

const { namespace, image, tenant } = terms;
const naming = new Naming(terms.installation, namespace);
const double = await ApiDouble.start();
double.users.set(terms.controllerToken, { forbidden: new Set() });
const api = apiOf(double.config());
const metadata = { name: namespace };
const body = { apiVersion: 'v1', kind: 'Namespace', metadata };
await api.call({ method: 'POST', path: '/api/v1/namespaces', body });
const old = Number(process.argv[2]);
for (let index = 0; index < old; index += 1) seed(terms.oldId(index));

const ready = new Map<string, number>();
double.store.changes.on('change', ({ object }: { object: KubeObject }) => {
  if (object.kind !== 'Pod' || !isReady(object)) return;
  const key = readAnnotation(object.metadata.annotations?.[runAnnotation])?.key ?? '';
  if (!ready.has(key)) ready.set(key, terms.preciseNowMs());
});

const names = new Set(Array.from({ length: old }, (_, i) => nameOf(terms.oldId(i))));
const kubelet = new Kubelet({
  ...ports,
  api,
  images: { [image]: [] },
  namespace,
  statusesOnly: true,
  // They have their status.
  misbehave: (pod) => (names.has(pod.metadata.name) ? { kind: 'silent' } : undefined),
});
await kubelet.start();

process.on('message', () => {
  const asked = double.requests.splice(0).filter(({ token }) => token === terms.controllerToken);
  const requests = asked.map(({ method, path }) => `${method} ${resourceOf(path)}`);
  process.send?.({ ready: [...ready], requests } satisfies Findings);
  ready.clear();
});
process.send?.({
  server: double.config().getCurrentCluster()?.server ?? '',
} satisfies ApiServerReady);

function nameOf(podId: string): string {
  return naming.objectName(`${tenant}/${podId}`);
}

/** Puts a pod that runs where no client could: through the API it would take minutes. */
function seed(podId: string): void {
  const { resources } = terms;
  const spec: RunSpec = {
    key: `${tenant}/${podId}`,
    tenant,
    podId,
    run: 1,
    podCreatedAtMs: terms.createdAtMs,
    image,
    registry: null,
    command: null,
    arguments: null,
    environment: {},
    networks: [{ name: 'default', protocol: 'http', port: terms.port }],
    resources: {
      cpuRequestMilli: resources.cpu_request,
      cpuLimitMilli: resources.cpu_limit,
      memoryRequestMi: resources.mem_request,
      memoryLimitMi: resources.mem_limit,
      gpus: resources.gpus,
    },
    computeQueue: 'default',
    privileges: { root: false, user: null, capabilities: [] },
  };
  const { pod } = manifestsOf(spec, naming);
  const state = { running: { startedAt: new Date().toISOString() } };
  const status = {
    phase: 'Running',
    podIP: '127.0.0.1',
    podIPs: [{ ip: '127.0.0.1' }],
    conditions: [
      { type: 'PodScheduled', status: 'True' },
      { type: 'Ready', status: 'True' },
    ],
    containerStatuses: [{ name: 'pod', image, imageID: '', ready: true, restartCount: 0, state }],
  };
  if (pod.spec) pod.spec.nodeName = 'node-1';
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the store adds what it lacks
  const object = Object.assign(pod, { status }) as unknown as KubeObject;
  double.store.create('pods', object);
}

function isReady(object: KubeObject): boolean {
  return JSON.stringify(object['status'] ?? {}).includes('"type":"Ready","status":"True"');
}

/** `…/namespaces/<namespace>/<resource>/<name>/<subresource>`, or a review of rights. */
function resourceOf(path: string): string {
  const [, resource = '', , subresource] =
    /namespaces\/[^/]+\/([^/]+)(?:\/([^/]+))?(?:\/(.+))?/.exec(path) ?? [];
  return [resource, subresource].filter(Boolean).join('/');
}
