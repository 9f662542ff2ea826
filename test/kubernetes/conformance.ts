import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { KubernetesApi } from '../../controller/runtime/kubernetes/api.ts';
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
}

/**
 * A namespace of a test's own with a node that works there; the cluster may have others. `as` is whom
 * the runtime calls as, if it is another than the node.
 */
export async function clusterPlace(
  config: KubeConfig,
  { as = config, ...options }: Partial<KubeletOptions> & { readonly as?: KubeConfig } = {},
): Promise<ClusterPlace> {
  const api = apiOf(config);
  const namespace = `podgate-test-${systemRandom.bytes(5).toString('hex')}`;
  const metadata = { name: namespace };
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata };
  await api.call({ method: 'POST', path: '/api/v1/namespaces', body });
  const dataDir = mkdtempSync(join(tmpdir(), 'podgate-kubernetes-'));
  const kubelet = new Kubelet({ ...ports, api, images, namespace, ...options });
  await kubelet.start();
  const open = (): Promise<Runtime> =>
    createKubernetesRuntime({ ...ports, config: as, namespace, installation: 'test', dataDir });
  const clean = async (): Promise<void> => {
    await kubelet.stop();
    const pods = `/api/v1/namespaces/${namespace}/pods`;
    await api.call({ method: 'DELETE', path: pods, query: { gracePeriodSeconds: '0' } });
    await api.call({ method: 'DELETE', path: `/api/v1/namespaces/${namespace}` });
    rmSync(dataDir, { recursive: true, force: true });
  };
  return { kubelet, open, clean };
}
