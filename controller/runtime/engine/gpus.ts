import type { DeviceRequest } from 'dockerode';
import { Refused } from '../refused.ts';
import type { EngineFacts } from './engine.ts';
import { EngineRefusal } from './engine.ts';
import { cdiKind } from './gpu-way.ts';

/** What to ask for. Throws `Refused` where it cannot be asked: the pod would run without. */
export function gpuRequests(count: number, engine: EngineFacts): readonly DeviceRequest[] {
  if (count === 0) return [];
  if (engine.gpuWay === 'count') return [{ Count: count, Capabilities: [['gpu']] }];
  if (engine.gpuWay === 'cdi')
    return [
      { Driver: 'cdi', DeviceIDs: Array.from({ length: count }, (_, i) => `${cdiKind}=${i}`) },
    ];
  throw new Refused(
    `resources.gpus is ${count}, and the Docker API of ${engine.name} ${engine.version} ` +
      'cannot ask for GPUs; that of Podman 5.4 and newer can',
  );
}

/** What a pod is told when the engine has no GPUs, or not so many, which shows when it starts. */
export function withoutGpus(count: number, engine: EngineFacts, error: unknown): unknown {
  if (!(error instanceof EngineRefusal && noGpus.test(error.message))) return error;
  const { name } = engine;
  return new Refused(
    `resources.gpus is ${count}, and ${name} has not so many here: ${error.message}`,
  );
}

const noGpus =
  /could not select device driver|unresolvable CDI device|nvidia-container-cli: device error/i;
