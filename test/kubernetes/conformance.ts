import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { z } from 'zod';
import { codeOf, KubernetesApi } from '../../controller/runtime/kubernetes/api.ts';
import { Naming } from '../../controller/runtime/kubernetes/names.ts';
import { createKubernetesRuntime } from '../../controller/runtime/kubernetes/runtime.ts';
import type { Runtime } from '../../controller/runtime/runtime.ts';
import type { PlaceKind, RuntimePlace } from '../conformance/runtime.ts';
import { root } from '../integration/standalone.ts';
import type { KubeletOptions } from './kubelet.ts';
import { Kubelet, ownNodeLabel } from './kubelet.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
export const ports = { clock: systemClock, random: systemRandom, log: silent };

/** Of clusters whose node is our own: images are programs of this machine. */
export const kubeletKind: PlaceKind = {
  images: { hello: 'example/hello', shell: 'example/shell', missing: 'example/missing' },
  onThisMachine: false,
  patienceMs: 30_000,
};

const images = {
  [kubeletKind.images.hello]: [process.execPath, join(root, 'deploy/examples/hello/main.ts')],
  [kubeletKind.images.shell]: [],
};

/** Ends as it is told, and is a program of any image that has Node. */
const helloText =
  "process.on('SIGTERM', () => process.exit(0));" +
  "require('node:http').createServer((_, answer) => answer.end('ok')).listen(process.env.PORT)";

/**
 * Of clusters with nodes of their own: they fetch one public image, with `/bin/sh`, Node and a user by
 * number that is not root. Pods' addresses have to be reachable from here.
 */
export const nodesKind = ({ PODGATE_TEST_POD_IMAGE: image }: NodeJS.ProcessEnv): PlaceKind => ({
  images: {
    hello: image ?? publicImage,
    helloCommand: ['node', '-e', helloText],
    shell: image ?? publicImage,
    missing: 'podgate.invalid/missing',
  },
  onThisMachine: false,
  rotatesOutput: true,
  patienceMs: 120_000,
});
const publicImage = 'cgr.dev/chainguard/node:latest-dev';

/** Whether the cluster runs pods by itself. */
export async function hasNodes(api: KubernetesApi): Promise<boolean> {
  const { items } = zNodes.parse(await api.call({ method: 'GET', path: '/api/v1/nodes' }));
  return items.some(({ metadata: { labels = {} }, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    return ready?.status === 'True' && !(ownNodeLabel in labels);
  });
}

const zNodes = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ labels: z.record(z.string(), z.string()).optional() }),
      status: z
        .object({
          conditions: z.array(z.object({ type: z.string(), status: z.string() })).optional(),
        })
        .optional(),
    }),
  ),
});

export const apiOf = (config: KubeConfig): KubernetesApi => new KubernetesApi(config, ports);

export interface ClusterPlace extends RuntimePlace {
  /** Of the pods of the first tenant. */
  readonly namespace: string;
}

const usual = 'podgate-test-{test}';

interface PlaceOptions extends Partial<KubeletOptions> {
  /** Whom the runtime calls as, if it is another than the node. */
  readonly as?: KubeConfig;
  /** Where pods are, as the setting has it; by default, and with `{test}`, one of the test's own. */
  readonly namespaces?: string;
  /** The cluster has nodes of its own, and gets none of ours. */
  readonly theirs?: boolean;
}

/** A cluster with a node of ours that works for one namespace; the cluster may have others. */
export async function clusterPlace(
  config: KubeConfig,
  { as = config, namespaces = usual, theirs = false, ...options }: PlaceOptions = {},
): Promise<ClusterPlace> {
  const api = apiOf(config);
  const setting = namespaces.replace('{test}', systemRandom.bytes(5).toString('hex'));
  const namespace = new Naming('test', setting).namespaceOf('default');
  const made = setting === namespace && setting !== namespaces;
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
  if (made) await api.call({ method: 'POST', path: '/api/v1/namespaces', body });
  const dataDir = mkdtempSync(join(tmpdir(), 'podgate-kubernetes-'));
  const kubelet = new Kubelet({ ...ports, api, images, namespace, ...options });
  if (!theirs) await kubelet.start();
  const terms = { ...ports, config: as, namespace: setting, installation: 'test', dataDir };
  const open = (): Promise<Runtime> => createKubernetesRuntime(terms);
  const clean = async (): Promise<void> => {
    if (!theirs) await kubelet.stop();
    const pods = `/api/v1/namespaces/${namespace}/pods`;
    await api.call({ method: 'DELETE', path: pods, query: { gracePeriodSeconds: '0' } });
    // Of tenants that never had a pod there is none.
    if (setting !== namespaces)
      await api
        .call({ method: 'DELETE', path: `/api/v1/namespaces/${namespace}` })
        .catch((error: unknown) => {
          if (codeOf(error) !== 404) throw error;
        });
    rmSync(dataDir, { recursive: true, force: true });
  };
  return { namespace, open, clean };
}
