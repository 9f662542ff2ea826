import type { Site } from '#contracts/hosts.ts';
import { domainOf, podHost } from '#contracts/hosts.ts';
import type { DesiredPod } from '#contracts/pod.ts';
import type { Address, Route, RouteState } from '#contracts/route.ts';
import type { Plan, Situation } from './plan.ts';
import { routedNetworks } from './routed-networks.ts';
import type { Observed } from './runtime/runtime.ts';

interface Readiness {
  readonly state: RouteState;
  readonly message: string;
  readonly upstream: Address | null;
}

/** What visitors read. Why it is so is the owner's business and stands in the pod's status. */
const notRunning: Readonly<Record<Exclude<Situation, 'running'>, readonly [RouteState, string]>> = {
  removing: ['starting', 'The pod is being made anew.'],
  restarting: ['starting', 'The pod restarts.'],
  launching: ['starting', 'The pod starts.'],
  waiting: ['starting', 'The program of this pod has failed and will start again shortly.'],
  stopping: ['stopping', 'The pod is being stopped.'],
  stopped: ['stopped', 'The pod is stopped. Its owner can start it.'],
  failed: ['failed', 'The program of this pod has failed. Its owner finds the reason in its logs.'],
  complete: ['complete', 'The program of this pod has done its work and has ended.'],
};

/**
 * One route per network that clients reach, as long as the pod exists; those whose program does not
 * accept connections there say why instead of where.
 */
export function routesOf(
  desired: DesiredPod | undefined,
  { situation }: Pick<Plan, 'situation'>,
  observed: Observed | undefined,
  site: Site,
): Route[] {
  if (!desired) return [];
  const { tenant, podId } = desired;
  return routedNetworks(desired).map(({ name, ...reached }) => ({
    host: podHost(podId, name, domainOf(tenant, site)),
    tenant,
    pod: podId,
    network: name,
    ...reached,
    ...readiness(situation, observed, name),
  }));
}

function readiness(
  situation: Situation,
  observed: Observed | undefined,
  network: string,
): Readiness {
  if (situation !== 'running') {
    const [state, message] = notRunning[situation];
    return { state, message, upstream: null };
  }
  if (observed?.phase === 'starting') {
    return { state: 'starting', message: 'The pod starts.', upstream: null };
  }
  const address = observed?.addresses[network];
  if (!address) {
    const message = `The pod has to be restarted before its network ${network} can be reached.`;
    return { state: 'stopped', message, upstream: null };
  }
  if (!address.listening) {
    const message = 'The program of this pod runs but does not accept connections yet.';
    return { state: 'starting', message, upstream: null };
  }
  return { state: 'ready', message: '', upstream: { host: address.host, port: address.port } };
}
