import type { Policy } from '#contracts/policy.ts';
import type { DesiredPod, Network } from '#contracts/pod.ts';

/** A network that clients outside reach. */
export interface RoutedNetwork {
  readonly name: string;
  readonly protocol: Exclude<Network['protocol'], 'local_only'>;
  readonly policy?: Policy;
}

export function routedNetworks({ networking }: Pick<DesiredPod, 'networking'>): RoutedNetwork[] {
  return Object.entries(networking).flatMap(([name, { protocol, policy }]) =>
    protocol === 'local_only' ? [] : [{ name, protocol, ...(policy ? { policy } : {}) }],
  );
}

/** The network that decides whether the pod is available; undefined when none is routed. */
export function primaryNetwork(desired: Pick<DesiredPod, 'networking'>): string | undefined {
  const routed = routedNetworks(desired);
  return (routed.find(({ name }) => name === 'default') ?? routed[0])?.name;
}
