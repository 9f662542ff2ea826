import type { Certificate } from '#contracts/certificate.ts';
import { certificates } from '#contracts/certificate.ts';
import type { Site } from '#contracts/hosts.ts';
import { domainOf, podHost, podsDomain, wildcardOf } from '#contracts/hosts.ts';
import type { Lease, Leases } from '#contracts/leases.ts';
import type { Log } from '#contracts/log.ts';
import type { DesiredPod } from '#contracts/pod.ts';
import { desiredPods, sealContext } from '#contracts/pod.ts';
import { SealBroken } from '#contracts/sealer.ts';
import { tenants } from '#contracts/tenant.ts';
import type { Change } from '#contracts/store.ts';
import { BrokenDocument } from '#contracts/store.ts';
import type { Authority, AuthorityPorts } from './authority/authority.ts';
import { reasonToIssue } from './reasons.ts';
import { renewAtMs } from './schedule.ts';
import { WorkQueue } from './work-queue.ts';

export interface ManagerPorts extends AuthorityPorts {
  readonly leases: Leases;
  readonly log: Log;
}

export interface ManagerSettings {
  readonly site: Site;
  /** Who we are when we take the lease. */
  readonly holder: string;
}

// A pod's certificate is made when it is desired; this only finds what fell due or was missed.
const resyncMs = 60_000;
// Longer than any order takes; a program that dies meanwhile holds up the others this long.
const leaseMs = 30_000;
// Another one is ordering, most likely what we want: look again soon.
const heldMs = 500;

const ownIds = ['domain', 'wildcard'] as const;
export const podPrefix = 'pod/';
export const tenantPrefix = 'tenant/';

/** What is to be done about one certificate. */
type Task =
  | { readonly kind: 'issue'; readonly hosts: readonly string[]; readonly reason: string }
  | { readonly kind: 'remove' };

/**
 * Makes the stored certificates match the pods there should be. An event only says which
 * certificate to look at; everything is decided from what is stored, so a lost one costs a resync.
 */
export class Manager {
  readonly #ports: ManagerPorts;
  readonly #settings: ManagerSettings;
  readonly #authority: Authority;
  readonly #signal: AbortSignal;
  readonly #queue = new WorkQueue();
  readonly #ownValidUntilMs = new Map<string, number>();

  constructor(
    ports: ManagerPorts,
    settings: ManagerSettings,
    authority: Authority,
    signal: AbortSignal,
  ) {
    this.#ports = ports;
    this.#settings = settings;
    this.#authority = authority;
    this.#signal = signal;
  }

  /** Which of the certificates that everything needs is not valid now; undefined: all are. */
  problem(): string | undefined {
    const nowMs = this.#ports.clock.nowMs();
    const lacking = ownIds.filter((id) => (this.#ownValidUntilMs.get(id) ?? 0) <= nowMs);
    if (lacking.length === 0) return undefined;
    return `no valid certificate for the ${lacking.join(' and the ')}`;
  }

  /** Resolves when the domain and the wildcard have certificates, made here or by another. */
  async ensureOwn(): Promise<void> {
    for (const id of ownIds) {
      while (!(await this.#ensure(id))) await this.#ports.clock.sleep(heldMs, this.#signal);
    }
  }

  /** Orders as soon as a pod is desired, so that the certificate is there before the pod is. */
  async follow(changes: AsyncIterable<Change>, prefix: string): Promise<void> {
    try {
      for await (const { id } of changes) this.#queue.hurry(prefix + id);
    } catch (error) {
      this.#ports.log.error({ prefix, error }, 'watching failed; only resyncs see these now');
    }
  }

  /** Looks at what is queued, one after the other: two would order the same certificate twice. */
  async work(): Promise<void> {
    for (;;) {
      const id = await this.#queue.next(this.#signal);
      if (id === undefined) return;
      try {
        if (!(await this.#ensure(id))) this.#later(id);
      } catch (error) {
        // The others go on, and the next resync looks at this one again.
        this.#ports.log.error({ certificate: id, error }, 'certificate failed');
      }
    }
  }

  /** Queues every certificate there should be and every one there is, now and each minute. */
  async resync(): Promise<void> {
    while (!this.#signal.aborted) {
      try {
        for (const id of await this.#allIds()) this.#queue.add(id);
      } catch (error) {
        this.#ports.log.error({ error }, 'certificates could not be listed');
      }
      await this.#ports.clock.sleep(resyncMs, this.#signal).catch(() => undefined);
    }
  }

  async #allIds(): Promise<string[]> {
    const { store } = this.#ports;
    const pods = await desiredPods(store).list();
    const others = await tenants(store).list();
    const stored = await certificates(store).list();
    for (const { id, reason } of [...pods.broken, ...others.broken, ...stored.broken])
      this.#ports.log.warn({ id, reason }, 'a stored document does not parse');
    return [
      ...ownIds,
      ...pods.documents.map(({ id }) => podPrefix + id),
      ...others.documents.map(({ id }) => tenantPrefix + id),
      ...stored.documents.map(({ id }) => id),
      ...stored.broken.map(({ id }) => id),
    ];
  }

  #later(id: string): void {
    const cancel = this.#ports.clock.after(heldMs, () => {
      this.#signal.removeEventListener('abort', cancel);
      this.#queue.hurry(id);
    });
    this.#signal.addEventListener('abort', cancel);
  }

  /**
   * Look, take the lease, look again: another program may have done it while we waited. False when
   * another one holds the lease.
   */
  async #ensure(id: string): Promise<boolean> {
    if (!(await this.#task(id))) return true;
    const { leases } = this.#ports;
    const lease = await leases.acquire('certs', this.#settings.holder, leaseMs);
    if (!lease) return false;
    try {
      const task = await this.#task(id);
      if (task) await this.#do(id, task, lease);
    } finally {
      await leases.release(lease);
    }
    return true;
  }

  async #task(id: string): Promise<Task | undefined> {
    const certificate = await this.#stored(id);
    const hosts = await this.#hosts(id);
    // A pod whose record cannot be read keeps what it has.
    if (!hosts) return undefined;
    if (hosts.length === 0) return certificate === 'none' ? undefined : { kind: 'remove' };
    const readable = typeof certificate === 'object' ? certificate : undefined;
    const reason = reasonToIssue({
      certificate: readable,
      keyOpens: readable !== undefined && this.#opens(id, readable),
      hosts,
      issuer: this.#authority.name,
      nowMs: this.#ports.clock.nowMs(),
    });
    if (reason !== undefined) return { kind: 'issue', hosts, reason };
    if (readable) this.#noteOwn(id, readable.notAfterMs);
    return undefined;
  }

  async #stored(id: string): Promise<Certificate | 'none' | 'broken'> {
    try {
      return (await certificates(this.#ports.store).get(id))?.value ?? 'none';
    } catch (error) {
      if (error instanceof BrokenDocument) return 'broken';
      throw error;
    }
  }

  /** What it must cover: nothing when there should be none, undefined when nobody can tell. */
  async #hosts(id: string): Promise<readonly string[] | undefined> {
    const { site } = this.#settings;
    if (id === 'domain') return [site.domain];
    if (id === 'wildcard') return forAnyPod(site.domain);
    try {
      if (id.startsWith(podPrefix)) {
        const pod = await desiredPods(this.#ports.store).get(id.slice(podPrefix.length));
        return pod ? hostsOf(pod.value, site) : [];
      }
      if (id.startsWith(tenantPrefix))
        return await this.#tenantHosts(id.slice(tenantPrefix.length));
      return undefined;
    } catch (error) {
      if (error instanceof BrokenDocument) return undefined;
      throw error;
    }
  }

  /** The first tenant's are the site's own. */
  async #tenantHosts(id: string): Promise<readonly string[]> {
    const { site } = this.#settings;
    if (id === site.tenant || !(await tenants(this.#ports.store).get(id))) return [];
    const domain = domainOf(id, site);
    return [domain, ...forAnyPod(domain)];
  }

  #opens(id: string, { key }: Certificate): boolean {
    try {
      this.#ports.sealer.open(key, sealContext.certificate(id));
      return true;
    } catch (error) {
      if (error instanceof SealBroken) return false;
      throw error;
    }
  }

  #noteOwn(id: string, notAfterMs: number): void {
    if (ownIds.some((own) => own === id)) this.#ownValidUntilMs.set(id, notAfterMs);
  }

  async #do(id: string, task: Task, { name, token }: Lease): Promise<void> {
    const { store, sealer, random, log } = this.#ports;
    const fence = { lease: name, token };
    if (task.kind === 'remove') {
      await certificates(store).remove(id, 'anything', fence);
      log.info({ certificate: id }, 'certificate removed');
      return;
    }
    const { chain, key, notBeforeMs, notAfterMs } = await this.#authority.issue(task.hosts);
    const certificate: Certificate = {
      hosts: [...task.hosts],
      chain,
      key: sealer.seal(key, sealContext.certificate(id)),
      notBeforeMs,
      notAfterMs,
      renewAtMs: renewAtMs({ notBeforeMs, notAfterMs }, random.fraction()),
      issuer: this.#authority.name,
    };
    await certificates(store).put(id, certificate, 'anything', fence);
    this.#noteOwn(id, notAfterMs);
    log.info({ certificate: id, hosts: task.hosts, reason: task.reason }, 'certificate issued');
  }
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
