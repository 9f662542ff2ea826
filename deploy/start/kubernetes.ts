import { KubeConfig } from '@kubernetes/client-node';
import type { ProcessRuntimePorts } from '../../controller/runtime/process/runtime.ts';
import { createKubernetesRuntime } from '../../controller/runtime/kubernetes/runtime.ts';
import type { Runtime } from '../../controller/runtime/runtime.ts';
import type { data } from '../settings/data.ts';
import { BadSetting } from '../settings/group.ts';
import type { kubernetes } from '../settings/kubernetes.ts';
import type { Choices } from '../settings/read.ts';
import type { site } from '../settings/site.ts';

type Settings = Choices<{ data: typeof data; kubernetes: typeof kubernetes; site: typeof site }>;

/** Pods on the cluster of the settings. Throws `BadSetting` when there is no way to it. */
export async function openKubernetes(
  ports: ProcessRuntimePorts,
  { data: kept, kubernetes: cluster, site: place }: Settings,
): Promise<Runtime> {
  const { namespace, configFile } = cluster;
  const config = configOf(configFile);
  // Whoever serves the same domain is the same Podgate.
  const installation = place.domain;
  return createKubernetesRuntime({ ...ports, config, namespace, installation, dataDir: kept.dir });
}

function configOf(file: string | undefined): KubeConfig {
  const config = new KubeConfig();
  try {
    if (file === undefined) config.loadFromCluster();
    else config.loadFromFile(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BadSetting(`KUBECONFIG cannot be used: ${reason}`);
  }
  if (config.getCurrentCluster()?.server.includes('undefined'))
    throw new BadSetting(
      'PODGATE_RUNTIME is "kubernetes", which needs KUBECONFIG outside of a cluster',
    );
  return config;
}
