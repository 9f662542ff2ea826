import { desiredPods } from '#contracts/pod.ts';
import { tenants } from '#contracts/tenant.ts';
import { openAuthority } from './authority/authority.ts';
import type { ManagerPorts, ManagerSettings } from './manager.ts';
import { Manager, podPrefix, tenantPrefix } from './manager.ts';

export interface Certs {
  /** The root to trust, PEM. */
  readonly rootPem: string;
  /** Whether the domain or the wildcard lacks a certificate that is valid now, in a sentence. */
  problem(): string | undefined;
  /** Resolves when nothing is under way any more. */
  stop(): Promise<void>;
}

/**
 * Keeps a certificate for the domain, one wildcard for the pods' domain, one for both of each further
 * tenant, and one for each pod over all its hosts. Resolves when the first two are stored.
 */
export async function startCerts(ports: ManagerPorts, settings: ManagerSettings): Promise<Certs> {
  const authority = await openAuthority(ports, settings.site.domain);
  const abort = new AbortController();
  const manager = new Manager(ports, settings, authority, abort.signal);
  // Watching starts before the first look, so that no pod falls between the two.
  const pods = desiredPods(ports.store).watch(abort.signal);
  const others = tenants(ports.store).watch(abort.signal);
  try {
    await manager.ensureOwn();
  } catch (error) {
    abort.abort();
    throw error;
  }
  const loops = Promise.all([
    manager.work(),
    manager.follow(pods, podPrefix),
    manager.follow(others, tenantPrefix),
    manager.resync(),
  ]);
  return {
    rootPem: authority.rootPem,
    problem: () => manager.problem(),
    stop: async () => {
      abort.abort();
      await loops;
    },
  };
}
