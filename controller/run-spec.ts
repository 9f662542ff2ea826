import { z } from 'zod';
import type { Site } from '#contracts/hosts.ts';
import { domainOf, podHost } from '#contracts/hosts.ts';
import type { DesiredPod } from '#contracts/pod.ts';
import { podKey, sealContext } from '#contracts/pod.ts';
import type { Sealer } from '#contracts/sealer.ts';
import { fillPlaceholders } from '#contracts/placeholders.ts';
import { knownUserOf } from './image-users.ts';
import { registryOf } from './registries.ts';
import type { RegistryAccess, RunPrivileges, RunResources, RunSpec } from './runtime/runtime.ts';

/** What servers that begin as root need to own their files and to become somebody else. */
const rootCapabilities = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETGID', 'SETUID'];
const zEnvironment = z.record(z.string(), z.string());

export interface RunSpecContext {
  readonly sealer: Sealer;
  readonly site: Site;
  /** By their server. */
  readonly registries: ReadonlyMap<string, RegistryAccess>;
  /** Ids of templates whose pods run as their image wants. */
  readonly rootTemplates: ReadonlySet<string>;
}

/** The run a pod asks for, with its secrets opened and filled in. Throws `SealBroken`. */
export function runSpecOf(
  desired: DesiredPod,
  run: number,
  { sealer, site, registries, rootTemplates }: RunSpecContext,
): RunSpec {
  const key = podKey(desired.tenant, desired.podId);
  const { userUsername, userPassword } = desired.credentials;
  const password = sealer.open(userPassword, sealContext.credentials(key));
  const host = podHost(desired.podId, 'default', domainOf(desired.tenant, site));
  const own = { userUsername, userPassword: password, podHost: host };
  const fill = (text: string): string => fillPlaceholders(text, own);
  const opened = sealer.open(desired.environment, sealContext.environment(key));
  const environment = Object.entries(parseEnvironment(opened));
  return {
    key,
    tenant: desired.tenant,
    podId: desired.podId,
    run,
    podCreatedAtMs: desired.createdAtMs,
    image: desired.image,
    registry: registries.get(registryOf(desired.image)) ?? null,
    command: desired.command?.map(fill) ?? null,
    arguments: desired.arguments?.map(fill) ?? null,
    environment: Object.fromEntries(environment.map(([name, value]) => [name, fill(value)])),
    networks: Object.entries(desired.networking).map(([name, { protocol, port }]) => ({
      name,
      protocol,
      port,
    })),
    resources: resourcesOf(desired),
    computeQueue: desired.computeQueue,
    privileges: privilegesOf(desired, rootTemplates),
  };
}

function resourcesOf({ resources }: DesiredPod): RunResources {
  return {
    cpuRequestMilli: resources.cpu_request,
    cpuLimitMilli: resources.cpu_limit,
    memoryRequestMi: resources.mem_request,
    memoryLimitMi: resources.mem_limit,
    gpus: resources.gpus,
  };
}

function privilegesOf(desired: DesiredPod, rootTemplates: ReadonlySet<string>): RunPrivileges {
  const root = mayBeRoot(desired, rootTemplates);
  return { root, user: knownUserOf(desired.image), capabilities: root ? rootCapabilities : [] };
}

/** For the image of the template alone: a user who names one of his own gets nothing with it. */
function mayBeRoot({ template }: DesiredPod, allowed: ReadonlySet<string>): boolean {
  if (!template || template.own.image !== undefined) return false;
  const layer = template.layers.find(({ definition }) => definition.image !== undefined);
  const [id = ''] = layer?.ref.split(':') ?? [];
  return allowed.has(id);
}

/** Own errors instead of the parser's, which quote what they could not read. */
function parseEnvironment(text: string): Record<string, string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new TypeError('the environment of the pod is no JSON');
  }
  const parsed = zEnvironment.safeParse(value);
  if (!parsed.success) throw new TypeError('the environment of the pod is no map of strings');
  return parsed.data;
}
