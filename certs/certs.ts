import { desiredPods } from '#contracts/pod.ts';
import { openAuthority } from './authority/authority.ts';
import type { ManagerPorts, ManagerSettings } from './manager.ts';
import { Manager } from './manager.ts';

export interface Certs {
  /** The root to trust, PEM. */
  readonly rootPem: string;
  /** Whether the domain or the wildcard lacks a certificate that is valid now, in a sentence. */
  problem(): string | undefined;
  /** Resolves when nothing is under way any more. */
  stop(): Promise<void>;
}

/**
 * Keeps a certificate for the domain, one wildcard for the pods' domain, and one for each pod over
 * all its hosts. Resolves when the first two are stored.
 */
export async function startCerts(ports: ManagerPorts, settings: ManagerSettings): Promise<Certs> {
  const authority = await openAuthority(ports, settings.domain);
  const abort = new AbortController();
  const manager = new Manager(ports, settings, authority, abort.signal);
  // Watching starts before the first look, so that no pod falls between the two.
  const changes = desiredPods(ports.store).watch(abort.signal);
  try {
    await manager.ensureOwn();
  } catch (error) {
    abort.abort();
    throw error;
  }
  const loops = Promise.all([manager.work(), manager.follow(changes), manager.resync()]);
  return {
    rootPem: authority.rootPem,
    problem: () => manager.problem(),
    stop: async () => {
      abort.abort();
      await loops;
    },
  };
}
