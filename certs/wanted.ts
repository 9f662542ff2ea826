import type { CertificateMode } from '#contracts/certificate-state.ts';
import type { Site } from '#contracts/hosts.ts';
import { domainOf, podHost, podsDomain, wildcardOf } from '#contracts/hosts.ts';
import type { DesiredPod } from '#contracts/pod.ts';
import { desiredPods } from '#contracts/pod.ts';
import type { Store } from '#contracts/store.ts';
import { tenants } from '#contracts/tenant.ts';

export const ownIds = ['domain', 'wildcard'] as const;
export const podPrefix = 'pod/';
export const tenantPrefix = 'tenant/';
/** Of a tenant whose wildcard cannot come from where its domain's certificate does. */
export const tenantWildcardPrefix = 'tenant-wildcard/';

/** Whose certificate it is: those of the site share one name. */
export const ownerOf = (id: string): string =>
  id.startsWith(podPrefix) ? (id.split('/')[1] ?? '') : '';

/** What there should be under one id. */
export interface Wanted {
  /** Sorted for pods; empty: there should be none. */
  readonly hosts: readonly string[];
  readonly mode: CertificateMode;
  /** `public`: until an authority has made it, our own stands in where `standIn` says so. */
  readonly by: 'own' | 'public';
  readonly standIn: boolean;
  /** Of the pod, if it is one's. */
  readonly createdAtMs: number | null;
}

export interface WantedTerms {
  readonly site: Site;
  /** Of tenants that have none of their own. */
  readonly mode: CertificateMode;
  /** Whether there is an authority other than our own, and DNS for wildcards from it. */
  readonly isPublic: boolean;
  readonly hasDns: boolean;
}

/** Pure: what tenants may choose. Wildcards of an authority need DNS. */
export const possibleModes = ({
  isPublic,
  hasDns,
}: Pick<WantedTerms, 'isPublic' | 'hasDns'>): CertificateMode[] => {
  if (!isPublic) return ['own'];
  return hasDns ? ['hybrid', 'per-pod', 'wildcard', 'own'] : ['per-pod', 'own'];
};

/** What the store asks for. Throws `BrokenDocument`; undefined: nobody asks under such an id. */
export async function wantedOf(
  store: Store,
  terms: WantedTerms,
  id: string,
): Promise<Wanted | undefined> {
  const { site } = terms;
  if (id === 'domain' || id === 'wildcard') {
    const mode = await modeOf(store, terms, site.tenant);
    return shared(terms, mode, id === 'domain' ? [site.domain] : forAnyPod(site.domain));
  }
  if (id.startsWith(podPrefix)) {
    const pod = await desiredPods(store).get(id.slice(podPrefix.length));
    return pod ? ofPod(store, terms, pod.value) : none(terms.mode);
  }
  if (id.startsWith(tenantPrefix)) return ofTenant(store, terms, id.slice(tenantPrefix.length));
  if (id.startsWith(tenantWildcardPrefix)) {
    const tenant = id.slice(tenantWildcardPrefix.length);
    const whole = await ofTenant(store, terms, tenant);
    const apart = whole.by === 'public' && !terms.hasDns;
    const hosts = apart ? forAnyPod(domainOf(tenant, site)) : [];
    return { ...whole, hosts, by: 'own' };
  }
  return undefined;
}

const none = (mode: CertificateMode): Wanted => ({
  hosts: [],
  mode,
  by: 'own',
  standIn: false,
  createdAtMs: null,
});

/** Of everything below a domain: needs DNS where it has a wildcard. */
function shared(terms: WantedTerms, mode: CertificateMode, hosts: readonly string[]): Wanted {
  const wild = hosts.some((host) => host.startsWith('*.'));
  const fromPublic = terms.isPublic && mode !== 'own' && (!wild || terms.hasDns);
  const by = fromPublic ? 'public' : 'own';
  return { hosts, mode, by, standIn: true, createdAtMs: null };
}

async function ofPod(store: Store, terms: WantedTerms, pod: DesiredPod): Promise<Wanted> {
  const mode = await modeOf(store, terms, pod.tenant);
  if (mode === 'wildcard') return { ...none(mode), createdAtMs: pod.createdAtMs };
  const by = terms.isPublic && mode !== 'own' ? 'public' : 'own';
  const hosts = hostsOf(pod, terms.site);
  return { hosts, mode, by, standIn: false, createdAtMs: pod.createdAtMs };
}

/** The first tenant's are the site's own. */
async function ofTenant(store: Store, terms: WantedTerms, id: string): Promise<Wanted> {
  const { site } = terms;
  const found = id === site.tenant ? undefined : await tenants(store).get(id);
  if (!found) return none(terms.mode);
  const mode = found.value.certificateMode ?? terms.mode;
  const domain = domainOf(id, site);
  const whole = [domain, ...forAnyPod(domain)];
  const apart = terms.isPublic && mode !== 'own' && !terms.hasDns;
  return shared(terms, mode, apart ? [domain] : whole);
}

async function modeOf(store: Store, terms: WantedTerms, tenant: string): Promise<CertificateMode> {
  const found = await tenants(store).get(tenant);
  return found?.value.certificateMode ?? terms.mode;
}

const forAnyPod = (domain: string): readonly string[] => [wildcardOf(domain), podsDomain(domain)];

/** The hosts of a pod that the gateway routes, sorted. */
function hostsOf(desired: DesiredPod, site: Site): string[] {
  const domain = domainOf(desired.tenant, site);
  return Object.entries(desired.networking)
    .filter(([, network]) => network.protocol !== 'local_only')
    .map(([name]) => podHost(desired.podId, name, domain))
    .toSorted();
}
