import type { ContainerInspectInfo } from 'dockerode';
import type { RunEnd } from '../runtime.ts';

/** What of a container decides. */
export interface ContainerState {
  readonly phase: 'created' | 'running' | 'ended';
  readonly startedAtMs: number;
  readonly exit: Pick<RunEnd, 'exitCode' | 'endedAtMs'> & {
    readonly outOfMemory: boolean;
    /** What kept the engine from running it, or ''. */
    readonly error: string;
  };
  /** Its image's own check says that it does not work; what that wrote last. */
  readonly unhealthy: string | null;
  /** On the network of its tenant, or ''. */
  readonly ip: string;
  /** On the loopback of this machine, by the port inside. */
  readonly ports: ReadonlyMap<number, number>;
}

export function readState(info: ContainerInspectInfo, nowMs: number): ContainerState {
  const { State: state, NetworkSettings: network } = info;
  const running = state.Running || state.Paused || state.Restarting;
  const created = ['created', 'configured', 'initialized'].includes(state.Status);
  const addresses = Object.values(network.Networks).map(({ IPAddress }) => IPAddress);
  return {
    phase: running ? 'running' : created ? 'created' : 'ended',
    startedAtMs: timeOf(state.StartedAt) ?? nowMs,
    exit: {
      exitCode: state.ExitCode,
      endedAtMs: timeOf(state.FinishedAt) ?? nowMs,
      outOfMemory: state.OOMKilled,
      error: state.Error,
    },
    unhealthy: unhealthy(state.Health),
    ip: addresses.find((address) => address !== '') ?? '',
    ports: publishedPorts(network.Ports),
  };
}

/** Engines write the year 1 for what has not happened. */
function timeOf(text: string): number | undefined {
  const atMs = Date.parse(text);
  return Number.isFinite(atMs) && atMs > 0 ? atMs : undefined;
}

/**
 * A check that has failed has the last word. One that has not run yet has none: not every engine
 * runs them, and then the port decides alone.
 */
function unhealthy(health: ContainerInspectInfo['State']['Health']): string | null {
  if (!health) return null;
  const last = health.Log?.at(-1);
  const failing = health.Status === 'unhealthy' || (health.Status === 'starting' && last);
  return failing ? (last?.Output.trim().slice(0, 200) ?? '') : null;
}

function publishedPorts(
  ports: ContainerInspectInfo['NetworkSettings']['Ports'],
): Map<number, number> {
  const found = new Map<number, number>();
  for (const [inside, bindings] of Object.entries(ports ?? {})) {
    const [binding] = bindings ?? [];
    if (binding) found.set(Number(inside.split('/')[0]), Number(binding.HostPort));
  }
  return found;
}
