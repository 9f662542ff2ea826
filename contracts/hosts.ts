/**
 * Host names of pods. `default` is reached at `<podId>.pods.<domain>`, every other network at
 * `<podId>-<network>.pods.<domain>`; neither part may hold a `-`, so the name is unambiguous.
 */
export function podHost(podId: string, network: string, domain: string): string {
  const label = network === 'default' ? podId : `${podId}-${network}`;
  return `${label}.${podsDomain(domain)}`;
}

/** The parent of all pods' hosts; its wildcard certificate answers for hosts without their own. */
export const podsDomain = (domain: string): string => `pods.${domain}`;
