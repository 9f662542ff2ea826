import { join } from 'node:path';
import type { ContainerCreateOptions, HostConfig } from 'dockerode';
import type { RunSpec } from '../runtime.ts';
import { Refused } from '../refused.ts';
import { expand, expandEnvironment } from '../expand.ts';
import { noGpus, withoutGpuChoice } from '../no-gpus.ts';
import type { EngineFacts } from './engine.ts';
import { gpuRequests } from './gpus.ts';
import { containerLabels, containerName, networkName, runLabelOf } from './labels.ts';

/** Whom a program runs as whose image would have it be root: the user "nonroot" of many images. */
const unprivileged = 65_532;
/** A fork bomb stays in its pod. */
const pidsMax = 4096;
/** Of the engine's own copy of a program's output, which ours is made from. */
const engineLogBytes = { Docker: '50m', Podman: '50mb' } as const;

/** Where Podman writes what a run writes, beside our copy of it. */
export const containerLog = (folder: string, run: number): string =>
  join(folder, `container-${run}.log`);

export interface ImageFacts {
  readonly id: string;
  /** Whom it wants to run as; '' is root. */
  readonly user: string;
}

export interface Site {
  /** Holds `<tenant>/<podId>`. */
  readonly root: string;
  readonly installation: string;
  readonly engine: EngineFacts;
}

/** What to ask the engine for. Throws `Refused` for what it cannot do. */
export function containerOf(spec: RunSpec, image: ImageFacts, site: Site): ContainerCreateOptions {
  const { installation } = site;
  const environment = environmentOf(spec);
  const words = (list: readonly string[]): string[] =>
    list.map((word) => expand(word, environment));
  const label = runLabelOf(spec);
  const network = networkName(installation, spec.tenant);
  return {
    name: containerName(installation, label),
    Image: image.id,
    Hostname: spec.podId,
    Labels: containerLabels(installation, label),
    Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    // As in Kubernetes, a command replaces the image's arguments as well.
    ...(spec.command && { Entrypoint: words(spec.command), Cmd: [] }),
    ...(spec.arguments && { Cmd: words(spec.arguments) }),
    ...(!spec.privileges.root && isRoot(image.user) && { User: insteadOfRoot(spec) }),
    ExposedPorts: Object.fromEntries(routedPorts(spec).map((port) => [port, {}])),
    HostConfig: { ...hostConfigOf(spec, site), NetworkMode: network },
    NetworkingConfig: { EndpointsConfig: { [network]: { Aliases: aliasesOf(spec) } } },
  };
}

/** Nobody said, or 0 in any of the ways that engines read (`00`, `+0`). Other names are the image's to give. */
function isRoot(user: string): boolean {
  const [name = ''] = user.split(':');
  return name === 'root' || Number(name) === 0;
}

/** As whom a pod runs whose image wants to be root. */
export function insteadOfRoot({ privileges }: RunSpec): string {
  const user = privileges.user ?? unprivileged;
  return `${user}:${user}`;
}

/** Other pods find one by its name when it has something for them. */
const aliasesOf = ({ networks, podId }: RunSpec): string[] =>
  networks.some(({ protocol }) => protocol === 'local_only') ? [podId] : [];

function environmentOf(spec: RunSpec): Record<string, string> {
  const given: Record<string, string> = {};
  const first = spec.networks.find(({ name }) => name === 'default') ?? spec.networks[0];
  if (first) given['PORT'] = String(first.port);
  for (const { name, port } of spec.networks) given[`PORT_${name.toUpperCase()}`] = String(port);
  return {
    ...expandEnvironment(given, withoutGpuChoice(spec.environment)),
    ...given,
    ...noGpus(spec.resources.gpus),
  };
}

/** As the engine writes them. Two networks may share one. */
function routedPorts({ networks }: RunSpec): string[] {
  for (const { name, port } of networks)
    if (port > 65_535)
      throw new Refused(`the port of network ${name} is ${port}, 65535 is the last`);
  const routed = networks.filter(({ protocol }) => protocol !== 'local_only');
  return [...new Set(routed.map(({ port }) => `${port}/tcp`))];
}

const bytes = (mebibytes: number): number => mebibytes * 1024 * 1024;

function hostConfigOf(spec: RunSpec, { engine, root }: Site): HostConfig {
  const { cpuLimitMilli, cpuRequestMilli, memoryLimitMi, memoryRequestMi, gpus } = spec.resources;
  // An empty port lets the engine choose.
  const published = routedPorts(spec).map((port) => [
    port,
    [{ HostIp: '127.0.0.1', HostPort: '' }],
  ]);
  return {
    PortBindings: Object.fromEntries(published),
    NanoCpus: cpuLimitMilli * 1_000_000,
    CpuShares: Math.max(2, Math.round(cpuRequestMilli * 1.024)),
    Memory: bytes(memoryLimitMi),
    // With no swap on top.
    MemorySwap: bytes(memoryLimitMi),
    MemoryReservation: bytes(memoryRequestMi),
    PidsLimit: pidsMax,
    CapDrop: ['ALL'],
    CapAdd: [...spec.privileges.capabilities],
    SecurityOpt: ['no-new-privileges'],
    // So that port 80 needs no capability.
    Sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0' },
    // Restarts are the controller's, the same on every runtime.
    RestartPolicy: { Name: 'no' },
    LogConfig: logOf(engine.name, containerLog(join(root, spec.key), spec.run)),
    DeviceRequests: [...gpuRequests(gpus, engine)],
  };
}

function logOf(engine: EngineFacts['name'], path: string): HostConfig['LogConfig'] {
  if (engine === 'Docker')
    return { Type: 'json-file', Config: { 'max-size': engineLogBytes.Docker, 'max-file': '2' } };
  return { Type: 'k8s-file', Config: { path, 'max-size': engineLogBytes.Podman } };
}
