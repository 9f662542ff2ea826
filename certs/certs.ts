import type { CertificateMode } from '#contracts/certificate-state.ts';
import {
  certificateRequests,
  certificateTerms,
  siteTermsId,
} from '#contracts/certificate-state.ts';
import type { Site } from '#contracts/hosts.ts';
import { desiredPods } from '#contracts/pod.ts';
import { tenants } from '#contracts/tenant.ts';
import type { TrafficReader } from '#contracts/traffic.ts';
import type { PublicAuthorities } from './acme/authority.ts';
import type { Preflight } from './acme/preflight.ts';
import { openAuthority } from './authority/authority.ts';
import type { DnsProvider } from './dns/provider.ts';
import type { Expiry } from './expiry.ts';
import type { ManagerPorts } from './manager.ts';
import { Manager } from './manager.ts';
import { OrderDesk } from './orders/desk.ts';
import { Slots } from './orders/slots.ts';
import { Orders } from './orders/turn.ts';
import type { WantedTerms } from './wanted.ts';
import {
  podPrefix,
  possibleModes,
  tenantPrefix,
  tenantWildcardPrefix,
  wantedOf,
} from './wanted.ts';

export interface Certs {
  /** The root of our own authority, PEM. */
  readonly rootPem: string;
  /** Whether the domain or the wildcard lacks a certificate that is valid now, in a sentence. */
  problem(): string | undefined;
  /** How many certificates of public authorities are waited for, and ordered right now. */
  readonly orders: { readonly waiting: number; readonly underWay: number };
  /** How those that are wanted stand with their ends. */
  readonly expiry: Expiry;
  /** Resolves when nothing is under way any more. */
  stop(): Promise<void>;
}

/** Authorities other than our own, and how we show them that our hosts are ours. */
export interface PublicTerms {
  readonly mode: Exclude<CertificateMode, 'own'>;
  readonly authorities: PublicAuthorities;
  readonly preflight: Preflight;
  /** Needed for wildcards. */
  readonly dns: DnsProvider | undefined;
}

export interface CertsSettings {
  readonly site: Site;
  /** Who we are when we take a lease. */
  readonly holder: string;
  /** Undefined: our own authority makes all. */
  readonly others: PublicTerms | undefined;
}

export interface CertsPorts extends ManagerPorts {
  readonly traffic?: TrafficReader;
}

/**
 * Keeps a certificate for the domain, one wildcard for the pods' domain, the like for each further
 * tenant, and one for each pod over all its hosts. Resolves when the first two are stored: made by our
 * own authority at first, whatever others are to be asked.
 */
export async function startCerts(ports: CertsPorts, settings: CertsSettings): Promise<Certs> {
  const { site, holder, others } = settings;
  const authority = await openAuthority(ports, site.domain);
  const abort = new AbortController();
  const { signal } = abort;
  const terms: WantedTerms = {
    site,
    mode: others?.mode ?? 'own',
    isPublic: others !== undefined,
    hasDns: others?.dns !== undefined,
  };
  const desk = others && openDesk(ports, { ...others, terms, holder, signal });
  const considerPublic = async (id: string): Promise<void> => desk?.consider(id);
  const manager = new Manager(ports, { ...terms, holder, considerPublic }, authority, signal);
  // Watching starts before the first look, so that no pod falls between the two.
  const pods = desiredPods(ports.store).watch(signal);
  const [domains, wildcards] = [0, 1].map(() => tenants(ports.store).watch(signal));
  const requests = certificateRequests(ports.store).watch(signal);
  try {
    const possible = possibleModes(terms);
    const { mode } = terms;
    await certificateTerms(ports.store).put(siteTermsId, { mode, possible }, 'anything');
    await manager.ensureOwn();
  } catch (error) {
    abort.abort();
    throw error;
  }
  const loops = Promise.all([
    manager.work(),
    manager.follow(pods, podPrefix),
    domains && manager.follow(domains, tenantPrefix),
    wildcards && manager.follow(wildcards, tenantWildcardPrefix),
    manager.follow(requests),
    manager.resync(),
    desk?.serve(),
  ]);
  return {
    rootPem: authority.rootPem,
    problem: () => manager.problem(),
    get orders() {
      return desk?.counts ?? { waiting: 0, underWay: 0 };
    },
    get expiry() {
      return manager.expiry;
    },
    stop: async () => {
      abort.abort();
      await loops;
    },
  };
}

function openDesk(
  ports: CertsPorts,
  given: PublicTerms & {
    readonly terms: WantedTerms;
    readonly holder: string;
    readonly signal: AbortSignal;
  },
): OrderDesk {
  const { terms, holder, signal, authorities, preflight, dns } = given;
  const orderPorts = { ...ports, preflight, dns, traffic: ports.traffic };
  return new OrderDesk(orderPorts, {
    wanted: (id) => wantedOf(ports.store, terms, id),
    orders: new Orders(orderPorts, authorities),
    slots: new Slots(ports, holder),
    signal,
  });
}
