import type { ProcessRuntimePorts } from '../../controller/runtime/process/runtime.ts';
import { createProcessRuntime } from '../../controller/runtime/process/runtime.ts';
import { runtimeByImage } from '../../controller/runtime/by-image.ts';
import type { Runtime } from '../../controller/runtime/runtime.ts';
import type { data } from '../settings/data.ts';
import type { kubernetes } from '../settings/kubernetes.ts';
import type { Choices } from '../settings/read.ts';
import type { runtime } from '../settings/runtime.ts';
import type { site } from '../settings/site.ts';
import { openKubernetes } from './kubernetes.ts';

type Groups = {
  readonly data: typeof data;
  readonly kubernetes: typeof kubernetes;
  readonly runtime: typeof runtime;
  readonly site: typeof site;
};

/** Opens what pods run on. */
export async function openRuntime(
  ports: ProcessRuntimePorts,
  settings: Choices<Groups>,
): Promise<Runtime> {
  const { data: kept, runtime: chosen } = settings;
  const processes = await createProcessRuntime({
    ...ports,
    dataDir: kept.dir,
    user: chosen.processUser,
  });
  const inCluster = chosen.kind === 'kubernetes';
  return runtimeByImage(processes, inCluster ? await openKubernetes(ports, settings) : undefined);
}
