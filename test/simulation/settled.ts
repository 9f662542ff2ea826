import type { DesiredPod, PodState, PodStatus } from '#contracts/pod.ts';
import type { Route } from '#contracts/route.ts';
import type { Observed } from '../../controller/runtime/runtime.ts';
import { behaviourOf } from './pod-place.ts';
import { hostOf } from './pods.ts';
import { addressOf } from './witness.ts';

/** Everything that is, in one place. */
export interface Everything {
  readonly desired: ReadonlyMap<string, DesiredPod>;
  readonly statuses: ReadonlyMap<string, PodStatus>;
  readonly observed: ReadonlyMap<string, Observed>;
  /** By name what a gateway's parent, or one of its workers, serves; undefined: it does not serve. */
  readonly tables: readonly (readonly [string, ReadonlyMap<string, Route> | undefined])[];
  readonly nowMs: number;
}

/** How long after its time a pod may still run. */
const stopLatenessMs = 15_000;

/** The first thing that is not as desired state asks for; undefined: all is well. */
export function unsettled(everything: Everything): string | undefined {
  const { desired, statuses, observed } = everything;
  for (const key of [...statuses.keys(), ...observed.keys()])
    if (!desired.has(key)) return `${key} is gone, but is still on record or running`;
  const routes = new Map<string, string>();
  for (const [key, pod] of desired) {
    const status = statuses.get(key);
    if (!status) return `${key} has no status`;
    const problem = podProblem(pod, status, observed.get(key), everything.nowMs);
    if (problem) return `${key} ${problem}`;
    for (const [host, gist] of routesOf(pod, status, observed.get(key))) routes.set(host, gist);
  }
  for (const [name, table] of everything.tables) {
    const problem = table ? tableProblem(table, routes) : 'does not serve';
    if (problem) return `${name} ${problem}`;
  }
  return undefined;
}

const lives = (seen: Observed | undefined): boolean => seen !== undefined && seen.end === null;

const isWanted = (pod: DesiredPod, status: PodStatus): boolean =>
  pod.requested === 'ON' && status.expiredGeneration !== pod.generation;

function podProblem(
  pod: DesiredPod,
  status: PodStatus,
  seen: Observed | undefined,
  nowMs: number,
): string | undefined {
  const { state, generation, run, stopAtMs } = status;
  const told = `status ${state} of generation ${generation} and run ${run}`;
  if (generation !== pod.generation)
    return `has a ${told}, but generation ${pod.generation} is wanted`;
  if (!isWanted(pod, status)) {
    if (lives(seen)) return `runs, but is not wanted`;
    return state === 'STOPPED' ? undefined : `has a ${told}, but is off`;
  }
  if (stopAtMs !== null && nowMs > stopAtMs + stopLatenessMs) return 'runs beyond its time to stop';
  const wanted = wantedState(pod);
  if (state !== wanted) return `has a ${told}, but ${wanted} is wanted`;
  if (wanted === 'AVAILABLE' || wanted === 'CREATING') {
    if (!lives(seen)) return `has a ${told}, but does not run`;
    if (seen?.run !== run) return `has a ${told}, but run ${seen?.run} runs`;
  } else if (lives(seen)) return `has a ${told}, but runs`;
  return undefined;
}

/** What a pod that is on comes to in the end. */
function wantedState(pod: DesiredPod): PodState {
  switch (behaviourOf(pod.command)) {
    case 'serve':
    case 'stubborn':
      return 'AVAILABLE';
    case 'mute':
      return 'CREATING';
    case 'job':
      return 'COMPLETE';
    case 'crash':
    case 'refused':
      return 'ERROR';
  }
}

/** By host what the route of each network has to be. */
function* routesOf(
  pod: DesiredPod,
  status: PodStatus,
  seen: Observed | undefined,
): Generator<readonly [string, string]> {
  for (const network of Object.keys(pod.networking))
    yield [hostOf(pod.podId, network), gistFor(network, status, seen)];
}

const restingStates: Readonly<Partial<Record<PodState, string>>> = {
  STOPPED: 'stopped',
  COMPLETE: 'complete',
  ERROR: 'failed',
};

function gistFor(network: string, status: PodStatus, seen: Observed | undefined): string {
  const resting = restingStates[status.state];
  if (resting) return resting;
  const address = seen?.addresses[network];
  // It was started without this network.
  if (!address) return 'stopped';
  return address.listening ? `ready ${addressOf(address)}` : 'starting';
}

function tableProblem(
  table: ReadonlyMap<string, Route>,
  wanted: ReadonlyMap<string, string>,
): string | undefined {
  for (const [host, { state, upstream }] of table) {
    const gist = upstream ? `${state} ${addressOf(upstream)}` : state;
    if (gist !== wanted.get(host))
      return `has ${host} as ${gist}, but ${wanted.get(host) ?? 'no route'} is wanted`;
  }
  for (const host of wanted.keys()) if (!table.has(host)) return `has no route for ${host}`;
  return undefined;
}
