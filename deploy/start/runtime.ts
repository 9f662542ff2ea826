import { readFileSync } from 'node:fs';
import { parseRegistries } from '../../controller/registries.ts';
import { runtimeByImage } from '../../controller/runtime/by-image.ts';
import type { EngineAddress } from '../../controller/runtime/engine/address.ts';
import { describeAddress, usualSockets } from '../../controller/runtime/engine/address.ts';
import { Engine } from '../../controller/runtime/engine/engine.ts';
import { createEngineRuntime, haveRunContainers } from '../../controller/runtime/engine/runtime.ts';
import type { ProcessRuntimePorts } from '../../controller/runtime/process/runtime.ts';
import { createProcessRuntime } from '../../controller/runtime/process/runtime.ts';
import type { RegistryAccess, Runtime } from '../../controller/runtime/runtime.ts';
import { RuntimeUnavailable } from '../../controller/runtime/runtime.ts';
import type { data } from '../settings/data.ts';
import type { kubernetes } from '../settings/kubernetes.ts';
import { BadSetting } from '../settings/group.ts';
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

type RuntimeChoice = Choices<{ runtime: typeof runtime }>['runtime'];

/**
 * The choice with `auto` decided: `engine` and where it answers, or still `auto` where none does, and
 * only built-in images can run. Throws `BadSetting` when none answers although one is asked for, or
 * pods of this data directory have run on one: they would be taken for gone.
 */
export async function settleRuntime(
  choice: RuntimeChoice,
  dataDir: string,
): Promise<RuntimeChoice> {
  if (choice.kind === 'process' || choice.kind === 'kubernetes') return choice;
  const { address, runtimeDir } = choice.engine;
  const places = address ? [address] : usualSockets(runtimeDir);
  const found = await firstAnswering(places);
  if (found) return { ...choice, kind: 'engine', engine: { address: found, runtimeDir } };
  const why =
    choice.kind === 'engine'
      ? 'PODGATE_RUNTIME is "engine"'
      : haveRunContainers(dataDir) && 'pods of this data directory run in containers';
  if (!why) return choice;
  const tried = places.map(describeAddress).join(', ');
  throw new BadSetting(
    `${why}, and no container engine answers ` +
      `(${tried === '' ? 'there is no usual socket' : `tried ${tried}`}): start it, or say where it is by ` +
      'DOCKER_HOST, such as unix:///var/run/docker.sock; PODGATE_RUNTIME=process does without',
  );
}

async function firstAnswering(
  places: readonly EngineAddress[],
): Promise<EngineAddress | undefined> {
  for (const place of places) {
    try {
      await new Engine(place).facts();
      return place;
    } catch (error) {
      if (!(error instanceof RuntimeUnavailable)) throw error;
    }
  }
  return undefined;
}

/** Opens what pods run on. */
export async function openRuntime(
  ports: ProcessRuntimePorts,
  settings: Choices<Groups>,
): Promise<Runtime> {
  const { data: kept, runtime: chosen } = settings;
  const { kind, engine, processUser } = await settleRuntime(chosen, kept.dir);
  const dataDir = kept.dir;
  const processes = await createProcessRuntime({ ...ports, dataDir, user: processUser });
  if (kind === 'kubernetes')
    return runtimeByImage(processes, await openKubernetes(ports, settings));
  const containers =
    kind === 'engine' && engine.address
      ? await createEngineRuntime(ports, { address: engine.address, dataDir })
      : undefined;
  return runtimeByImage(processes, containers);
}

/** Credentials of registries by their server. Throws `BadSetting`. */
export function readRegistries({
  registryFile,
}: RuntimeChoice): ReadonlyMap<string, RegistryAccess> {
  if (registryFile === undefined) return new Map();
  try {
    return parseRegistries(readFileSync(registryFile, 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BadSetting(`PODGATE_REGISTRY_AUTH_FILE cannot be used: ${reason}`);
  }
}
