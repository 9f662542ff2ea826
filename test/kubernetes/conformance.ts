import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { KubernetesApi } from '../../controller/runtime/kubernetes/api.ts';
import { Naming } from '../../controller/runtime/kubernetes/names.ts';
import { createKubernetesRuntime } from '../../controller/runtime/kubernetes/runtime.ts';
import type { Runtime } from '../../controller/runtime/runtime.ts';
import type { PlaceKind, RuntimePlace } from '../conformance/runtime.ts';
import { root } from '../integration/standalone.ts';
import type { KubeletOptions } from './kubelet.ts';
import { Kubelet } from './kubelet.ts';

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

export const apiOf = (config: KubeConfig): KubernetesApi => new KubernetesApi(config, ports);

export interface ClusterPlace extends RuntimePlace {
  readonly kubelet: Kubelet;
  /** Of the pods of the first tenant. */
  readonly namespace: string;
}

interface PlaceOptions extends Partial<KubeletOptions> {
  /** Whom the runtime calls as, if it is another than the node. */
  readonly as?: KubeConfig;
  /** Where pods are, as the setting has it; by default, and with `{test}`, one of the test's own. */
  readonly namespaces?: string;
}

/** A cluster with a node that works for one namespace; the cluster may have others. */
export async function clusterPlace(
  config: KubeConfig,
  { as = config, namespaces = 'podgate-test-{test}', ...options }: PlaceOptions = {},
): Promise<ClusterPlace> {
  const api = apiOf(config);
  const setting = namespaces.replace('{test}', systemRandom.bytes(5).toString('hex'));
  const namespace = new Naming('test', setting).namespaceOf('default');
  const made = setting === namespace && setting !== namespaces;
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
  if (made) await api.call({ method: 'POST', path: '/api/v1/namespaces', body });
  const dataDir = mkdtempSync(join(tmpdir(), 'podgate-kubernetes-'));
  const kubelet = new Kubelet({ ...ports, api, images, namespace, ...options });
  await kubelet.start();
  const terms = { ...ports, config: as, namespace: setting, installation: 'test', dataDir };
  const open = (): Promise<Runtime> => createKubernetesRuntime(terms);
  const clean = async (): Promise<void> => {
    await kubelet.stop();
    const pods = `/api/v1/namespaces/${namespace}/pods`;
    await api.call({ method: 'DELETE', path: pods, query: { gracePeriodSeconds: '0' } });
    if (setting !== namespaces)
      await api.call({ method: 'DELETE', path: `/api/v1/namespaces/${namespace}` });
    rmSync(dataDir, { recursive: true, force: true });
  };
  return { kubelet, namespace, open, clean };
}
