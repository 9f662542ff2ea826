import type { ProcessRuntimePorts } from '../../controller/runtime/process/runtime.ts';
import { createProcessRuntime } from '../../controller/runtime/process/runtime.ts';
import { runtimeByImage } from '../../controller/runtime/by-image.ts';
import type { Runtime } from '../../controller/runtime/runtime.ts';
import type { data } from '../settings/data.ts';
import type { Choices } from '../settings/read.ts';
import type { runtime } from '../settings/runtime.ts';

/** Opens what pods run on. */
export async function openRuntime(
  ports: ProcessRuntimePorts,
  { data: kept, runtime: chosen }: Choices<{ data: typeof data; runtime: typeof runtime }>,
): Promise<Runtime> {
  const processes = await createProcessRuntime({
    ...ports,
    dataDir: kept.dir,
    user: chosen.processUser,
  });
  return runtimeByImage(processes, undefined);
}
