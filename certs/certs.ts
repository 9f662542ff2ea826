import type { Certificate } from '#contracts/certificate.ts';
import { certificates } from '#contracts/certificate.ts';
import { podHost, podsDomain } from '#contracts/hosts.ts';
import type { Leases } from '#contracts/leases.ts';
import type { Log } from '#contracts/log.ts';
import type { DesiredPod } from '#contracts/pod.ts';
import { desiredPods, sealContext } from '#contracts/pod.ts';
import type { Authority, AuthorityPorts } from './authority/authority.ts';
import { openAuthority } from './authority/authority.ts';
import { reasonToIssue } from './reasons.ts';
import { renewAtMs } from './schedule.ts';

export interface CertsPorts extends AuthorityPorts {
  readonly leases: Leases;
  readonly log: Log;
}

export interface CertsSettings {
  readonly domain: string;
  /** Who we are when we take the lease. */
  readonly holder: string;
}

export interface Certs {
  /** The root to trust, PEM. */
  readonly rootPem: string;
  ready(): boolean;
  stop(): Promise<void>;
}

// A pod's certificate is made when it is desired; this only finds what fell due or was missed.
const resyncMs = 60_000;
const leaseMs = 30_000;

/**
 * Keeps a certificate for the domain, one wildcard for the pods' domain, and one for each pod over
 * all its hosts. Resolves when the first two are stored.
 */
export async function startCerts(ports: CertsPorts, settings: CertsSettings): Promise<Certs> {
  const authority = await openAuthority(ports, settings.domain);
  const manager = new Manager(ports, settings, authority);
  await manager.resync();
  const abort = new AbortController();
  const loops = Promise.all([manager.follow(abort.signal), manager.renew(abort.signal)]);
  return {
    rootPem: authority.rootPem,
    ready: () => true,
    stop: async () => {
      abort.abort();
      await loops;
    },
  };
}

class Manager {
  readonly #ports: CertsPorts;
  readonly #settings: CertsSettings;
  readonly #authority: Authority;

  constructor(ports: CertsPorts, settings: CertsSettings, authority: Authority) {
    this.#ports = ports;
    this.#settings = settings;
    this.#authority = authority;
  }

  /** Orders as soon as a pod is desired, so that the certificate is there before the pod is. */
  async follow(signal: AbortSignal): Promise<void> {
    for await (const { id } of desiredPods(this.#ports.store).watch(signal)) {
      await this.#guarded(id, () => this.#pod(id));
    }
  }

  async renew(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#ports.clock.sleep(resyncMs, signal).catch(() => undefined);
      if (!signal.aborted) await this.#guarded('all', () => this.resync());
    }
  }

  /** Looks at every certificate there should be, and at every one there is. */
  async resync(): Promise<void> {
    const { store } = this.#ports;
    const { domain } = this.#settings;
    await this.#ensure('domain', [domain]);
    await this.#ensure('wildcard', [`*.${podsDomain(domain)}`, podsDomain(domain)]);
    const { documents, broken } = await desiredPods(store).list();
    for (const { id } of documents) await this.#guarded(id, () => this.#pod(id));
    // A pod whose record cannot be read still has its certificate.
    const wanted = new Set([...documents, ...broken].map(({ id }) => `pod/${id}`));
    for (const { id } of (await certificates(store).list()).documents) {
      if (id.startsWith('pod/') && !wanted.has(id))
        await certificates(store).remove(id, 'anything');
    }
  }

  async #pod(key: string): Promise<void> {
    const { store } = this.#ports;
    const id = `pod/${key}`;
    const desired = await desiredPods(store).get(key);
    const hosts = desired ? hostsOf(desired.value, this.#settings.domain) : [];
    if (hosts.length > 0) await this.#ensure(id, hosts);
    else await certificates(store).remove(id, 'anything');
  }

  /** Look, lock, look again: a replica may have issued it while we waited for the lease. */
  async #ensure(id: string, hosts: readonly string[]): Promise<void> {
    if (!(await this.#reason(id, hosts))) return;
    const { leases, log } = this.#ports;
    const lease = await leases.acquire(`certs/${id}`, this.#settings.holder, leaseMs);
    if (!lease) return;
    try {
      const reason = await this.#reason(id, hosts);
      if (!reason) return;
      await this.#issue(id, hosts);
      log.info({ certificate: id, hosts, reason }, 'certificate issued');
    } finally {
      await leases.release(lease);
    }
  }

  async #reason(id: string, hosts: readonly string[]): Promise<string | undefined> {
    const stored = await certificates(this.#ports.store).get(id);
    const nowMs = this.#ports.clock.nowMs();
    return reasonToIssue({
      certificate: stored?.value,
      hosts,
      issuer: this.#authority.name,
      nowMs,
    });
  }

  async #issue(id: string, hosts: readonly string[]): Promise<void> {
    const { store, sealer, random } = this.#ports;
    const issued = await this.#authority.issue(hosts);
    const certificate: Certificate = {
      hosts: [...hosts],
      chain: issued.chain,
      key: sealer.seal(issued.key, sealContext.certificate(id)),
      notBeforeMs: issued.notBeforeMs,
      notAfterMs: issued.notAfterMs,
      renewAtMs: renewAtMs(issued, random.fraction()),
      issuer: this.#authority.name,
    };
    await certificates(store).put(id, certificate, 'anything');
  }

  /** One pod's trouble is logged and met again at the next resync; the others go on. */
  async #guarded(id: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#ports.log.error({ certificate: id, error: String(error) }, 'certificate failed');
    }
  }
}

/** The hosts of a pod that the gateway routes, sorted. */
export function hostsOf(desired: DesiredPod, domain: string): string[] {
  return Object.entries(desired.networking)
    .filter(([, network]) => network.protocol !== 'local_only')
    .map(([name]) => podHost(desired.podId, name, domain))
    .toSorted();
}
