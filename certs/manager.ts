import type { Certificate } from '#contracts/certificate.ts';
import { certificates } from '#contracts/certificate.ts';
import { certificateStates } from '#contracts/certificate-state.ts';
import type { Lease, Leases } from '#contracts/leases.ts';
import type { Log } from '#contracts/log.ts';
import { sealContext } from '#contracts/pod.ts';
import type { Change } from '#contracts/store.ts';
import { BrokenDocument } from '#contracts/store.ts';
import type { Authority, AuthorityPorts } from './authority/authority.ts';
import type { Expiry } from './expiry.ts';
import { expiryOf } from './expiry.ts';
import {
  askedRotation,
  hasState,
  keyOpens,
  newState,
  storedCertificate,
  storedState,
} from './orders/records.ts';
import { reasonToIssue } from './reasons.ts';
import { renewalOf } from './schedule.ts';
import { Survey } from './survey.ts';
import type { Wanted, WantedTerms } from './wanted.ts';
import { ownIds, wantedOf } from './wanted.ts';
import { WorkQueue } from './work-queue.ts';

export interface ManagerPorts extends AuthorityPorts {
  readonly leases: Leases;
  readonly log: Log;
}

export interface ManagerTerms extends WantedTerms {
  /** Who we are when we take the lease. */
  readonly holder: string;
  /** Looks at one that a public authority is to make. */
  readonly considerPublic: (id: string) => Promise<void>;
}

// A pod's certificate is made when it is desired; this only finds what fell due or was missed.
const resyncMs = 60_000;
// Longer than signing takes; a program that dies meanwhile holds up the others this long.
const leaseMs = 30_000;
// Another one is signing, most likely what we want: look again soon.
const heldMs = 500;

/** What is to be done about one certificate. */
type Task =
  | {
      readonly kind: 'issue';
      readonly wanted: Wanted;
      readonly rotation: number;
      readonly reason: string;
    }
  | { readonly kind: 'remove' };

/**
 * Makes the stored certificates match the pods there should be. An event only says which
 * certificate to look at; everything is decided from what is stored, so a lost one costs a resync.
 */
export class Manager {
  readonly #ports: ManagerPorts;
  readonly #terms: ManagerTerms;
  readonly #authority: Authority;
  readonly #signal: AbortSignal;
  readonly #queue = new WorkQueue();
  /** Since the last resync. */
  readonly #failed = new Set<string>();
  readonly #ownValidUntilMs = new Map<string, number>();
  #expiry: Expiry = expiryOf([], 0);

  constructor(ports: ManagerPorts, terms: ManagerTerms, authority: Authority, signal: AbortSignal) {
    this.#ports = ports;
    this.#terms = terms;
    this.#authority = authority;
    this.#signal = signal;
  }

  /** Of those that are wanted, as of the last look at all. */
  get expiry(): Expiry {
    return this.#expiry;
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
  async follow(changes: AsyncIterable<Change>, prefix = ''): Promise<void> {
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
        if (await this.#ensure(id)) await this.#terms.considerPublic(id);
        else this.#later(id);
      } catch (error) {
        // The others go on, and the next resync looks at this one again.
        this.#failed.add(id);
        this.#ports.log.error({ certificate: id, error }, 'certificate failed');
      }
    }
  }

  /** Queues every certificate there should be and every one there is, and each minute what may have to change. */
  async resync(): Promise<void> {
    const { store, clock, log } = this.#ports;
    const survey = new Survey(store, log, this.#authority.name);
    while (!this.#signal.aborted) {
      try {
        const { ids, expiry } = await survey.look(clock.nowMs());
        this.#expiry = expiry;
        for (const id of [...ids, ...this.#failed]) this.#queue.add(id);
        this.#failed.clear();
      } catch (error) {
        log.error({ error }, 'certificates could not be listed');
      }
      await clock.sleep(resyncMs, this.#signal).catch(() => undefined);
    }
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
    const lease = await leases.acquire('certs', this.#terms.holder, leaseMs);
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
    const { store, sealer, clock } = this.#ports;
    const certificate = await storedCertificate(store, id);
    const wanted = await this.#wanted(id);
    // A pod whose record cannot be read keeps what it has.
    if (!wanted) return undefined;
    const readable = typeof certificate === 'object' ? certificate : undefined;
    if (wanted.hosts.length === 0) {
      // A pod that is there shall be without: whoever comes back may find it, and that one is here.
      const kept = wanted.createdAtMs === null && this.#worthKeeping(readable);
      const isThere = certificate !== 'none' || (await hasState(store, id));
      return isThere && !kept ? { kind: 'remove' } : undefined;
    }
    const rotation = await askedRotation(store, id);
    const rotated = (await storedState(store, id))?.value.rotation ?? 0;
    const reason = reasonToIssue({
      certificate: readable,
      keyOpens: readable !== undefined && keyOpens(sealer, id, readable),
      hosts: wanted.hosts,
      issuer: this.#authority.name,
      rotate: rotation > rotated,
      nowMs: clock.nowMs(),
    });
    if (reason !== undefined && this.#isOurs(wanted, readable))
      return { kind: 'issue', wanted, rotation, reason };
    if (readable) this.#noteOwn(id, readable.notAfterMs);
    return undefined;
  }

  /** What a public authority is to make, ours only stands in for: until it is there, or has ended. */
  #isOurs({ by, standIn }: Wanted, stored: Certificate | undefined): boolean {
    if (by === 'own') return true;
    if (!standIn) return false;
    return (
      stored === undefined ||
      stored.issuer === this.#authority.name ||
      stored.notAfterMs <= this.#ports.clock.nowMs()
    );
  }

  /** One of a public authority costs what is scarce: whoever comes back under its name finds it. */
  #worthKeeping(stored: Certificate | undefined): boolean {
    if (!stored || stored.issuer === this.#authority.name) return false;
    return stored.notAfterMs > this.#ports.clock.nowMs();
  }

  async #wanted(id: string): Promise<Wanted | undefined> {
    try {
      return await wantedOf(this.#ports.store, this.#terms, id);
    } catch (error) {
      if (error instanceof BrokenDocument) return undefined;
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
      await certificateStates(store).remove(id, 'anything');
      log.info({ certificate: id }, 'certificate removed');
      return;
    }
    const { hosts, mode, by } = task.wanted;
    const { chain, key, notBeforeMs, notAfterMs } = await this.#authority.issue(hosts);
    const renewal = renewalOf({ notBeforeMs, notAfterMs }, random.fraction());
    const certificate: Certificate = {
      hosts: [...hosts],
      chain,
      key: sealer.seal(key, sealContext.certificate(id)),
      notBeforeMs,
      notAfterMs,
      renewAtMs: renewal.atMs,
      issuer: this.#authority.name,
    };
    await certificates(store).put(id, certificate, 'anything', fence);
    // Of one that only stands in the state is told by who orders the real one.
    if (by === 'own') {
      const state = {
        ...newState(mode),
        phase: 'active' as const,
        ca: this.#authority.name,
        renewal,
        notAfterMs,
        rotation: task.rotation,
      };
      await certificateStates(store).put(id, state, 'anything');
    }
    this.#noteOwn(id, notAfterMs);
    log.info({ certificate: id, hosts, reason: task.reason }, 'certificate issued');
  }
}
