import type { Certificate } from '#contracts/certificate.ts';
import { certificates } from '#contracts/certificate.ts';
import { certificateRequests, certificateStates } from '#contracts/certificate-state.ts';
import type { Log } from '#contracts/log.ts';
import { desiredPods } from '#contracts/pod.ts';
import type { Store } from '#contracts/store.ts';
import { tenants } from '#contracts/tenant.ts';
import { Digest } from './digest.ts';
import type { Expiry } from './expiry.ts';
import { expiryOf } from './expiry.ts';
import { ownIds, podPrefix, tenantPrefix, tenantWildcardPrefix } from './wanted.ts';

type Life = Pick<Certificate, 'notBeforeMs' | 'notAfterMs' | 'renewAtMs' | 'issuer'>;

const lifeOf = ({ notBeforeMs, notAfterMs, renewAtMs, issuer }: Certificate): Life => ({
  notBeforeMs,
  notAfterMs,
  renewAtMs,
  issuer,
});

const nothing = (): null => null;

/**
 * Which certificates have to be looked at, at a price by what has changed and not by how many there are:
 * what was written or removed, whatever came by watching; what fell due; and states that nothing has.
 */
export class Survey {
  readonly #log: Log;
  /** Of our own authority: what it made is due by its own word. */
  readonly #issuer: string;
  readonly #pods;
  readonly #tenants;
  readonly #certificates;
  readonly #requests;
  readonly #states;
  /** Until they are taken: a look that fails half-way forgets none. */
  #changed = new Set<string>();

  constructor(store: Store, log: Log, issuer: string) {
    this.#log = log;
    this.#issuer = issuer;
    this.#pods = new Digest(desiredPods(store), nothing);
    this.#tenants = new Digest(tenants(store), nothing);
    this.#certificates = new Digest(certificates(store), lifeOf);
    this.#requests = new Digest(certificateRequests(store), nothing);
    this.#states = new Digest(certificateStates(store), nothing);
  }

  /** The first time everything there should be and everything there is. */
  async look(
    nowMs: number,
  ): Promise<{ readonly ids: ReadonlySet<string>; readonly expiry: Expiry }> {
    await this.#tenants.update((id, broken) => this.#tenantChanged(id, broken));
    await this.#pods.update((id, broken) => this.#note(podPrefix + id, broken));
    await this.#requests.update((id, broken) => this.#note(id, broken));
    await this.#certificates.update((id, broken) => this.#note(id, broken));
    // Most of their changes are ours, and what one says is read with its certificate.
    await this.#states.update(() => undefined);
    const ids = this.#changed;
    this.#changed = new Set();
    for (const id of ownIds) ids.add(id);
    const lives: [string, Life][] = [];
    for (const [id, life] of this.#certificates.kept) {
      if (life && this.#isWanted(id)) lives.push([id, life]);
      if (life && this.#isDue(life, nowMs)) ids.add(id);
    }
    for (const id of this.#states.kept.keys())
      if (!this.#certificates.kept.has(id) && !this.#isWanted(id)) ids.add(id);
    return { ids, expiry: expiryOf(lives, nowMs) };
  }

  /** A pod's mode is its tenant's. */
  #tenantChanged(id: string, broken?: string): void {
    this.#note(tenantPrefix + id, broken);
    this.#note(tenantWildcardPrefix + id);
    for (const pod of this.#pods.kept.keys())
      if (pod.startsWith(`${id}/`)) this.#note(podPrefix + pod);
  }

  #note(id: string, broken?: string): void {
    if (broken !== undefined)
      this.#log.warn({ id, reason: broken }, 'a stored document does not parse');
    this.#changed.add(id);
  }

  #isDue({ issuer, renewAtMs, notAfterMs }: Life, nowMs: number): boolean {
    return notAfterMs <= nowMs || (issuer === this.#issuer && renewAtMs <= nowMs);
  }

  #isWanted(id: string): boolean {
    if (id.startsWith(podPrefix)) return this.#pods.kept.has(id.slice(podPrefix.length));
    for (const prefix of [tenantPrefix, tenantWildcardPrefix])
      if (id.startsWith(prefix)) return this.#tenants.kept.has(id.slice(prefix.length));
    return ownIds.some((own) => own === id);
  }
}
