/**
 * Host names of pods. `default` is reached at `<podId>.pods.<domain>`, every other network at
 * `<podId>-<network>.pods.<domain>`; neither part may hold a `-`, so the name is unambiguous.
 */
export function podHost(podId: string, network: string, domain: string): string {
  const label = network === 'default' ? podId : `${podId}-${network}`;
  return `${label}.${podsDomain(domain)}`;
}

const podsLabel = 'pods';

/** The parent of all pods' hosts; its wildcard certificate answers for hosts without their own. */
export const podsDomain = (domain: string): string => `${podsLabel}.${domain}`;

/** The name that a certificate good for any pod of a domain is found by. */
export const wildcardOf = (domain: string): string => `*.${podsDomain(domain)}`;

/** The domain whose wildcard has this name; undefined: it is no such name. */
export const domainOfWildcard = (name: string): string | undefined =>
  name.startsWith(wildcardOf('')) ? name.slice(wildcardOf('').length) : undefined;

/** A host without its first label. */
export const parentOf = (host: string): string => host.slice(host.indexOf('.') + 1);

/** What everything here is reached at. */
export interface Site {
  readonly domain: string;
  /** The tenant that has the domain itself, and whose admins decide for the whole site. */
  readonly tenant: string;
}

/** Where a tenant's API answers, its pods being below `pods.` of it: each but the first has a label. */
export const domainOf = (tenant: string, site: Site): string =>
  tenant === site.tenant ? site.domain : `${tenant}.${site.domain}`;

/** Tenants cannot have this name: their API would answer where pods are. */
export const reservedTenant = podsLabel;
