import type { Certificate } from '#contracts/certificate.ts';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import { sealContext } from '#contracts/pod.ts';
import type { Sealer } from '#contracts/sealer.ts';
import type { Collection } from '#contracts/store.ts';
import { problemOf } from './certificate-check.ts';
import { CertificateTable } from './certificate-table.ts';
import type { Identity } from './tls.ts';

export interface CertificateFeedPorts {
  readonly certificates: Collection<Certificate>;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly log: Log;
  /** The certificate of these hosts is another now. */
  changed(hosts: readonly string[]): void;
}

/** A certificate of the store, and whether handshakes can be made with it. */
export interface KnownCertificate {
  readonly id: string;
  readonly certificate: Certificate;
  /** Why it cannot be used; undefined: it can. */
  readonly problem: string | undefined;
}

/** The parent's certificates, as the store has them. Keys are opened only for a worker that asks. */
export class CertificateFeed {
  readonly #ports: CertificateFeedPorts;
  readonly #table = new CertificateTable();
  readonly #unusable = new Map<string, string>();
  #listed = false;

  constructor(ports: CertificateFeedPorts) {
    this.#ports = ports;
  }

  /** Reads all, then every change, until the signal aborts; `read` is called when all are read. */
  async follow(signal: AbortSignal, read: () => void): Promise<void> {
    // Watched before it is read: what is stored in between would never be looked at.
    const changes = this.#ports.certificates.watch(signal);
    await this.#readAll();
    read();
    for await (const { id } of changes) await this.#look(id);
  }

  /** Takes what the last run knew, unless the store was read: what it says is newer. */
  restore(certificates: ReadonlyMap<string, Certificate>): void {
    if (this.#listed) return;
    for (const [id, certificate] of certificates) {
      this.#put(id, certificate);
    }
  }

  /** Of exactly this name; undefined when there is none that can be used. */
  identity(host: string): Identity | undefined {
    const found = this.#table.find(host);
    if (!found) return undefined;
    const { id, certificate } = found;
    try {
      const key = this.#ports.sealer.open(certificate.key, sealContext.certificate(id));
      return { chain: certificate.chain, key };
    } catch (error) {
      // One damaged record must not end the program that serves all others.
      this.#ports.log.error({ certificate: id, error: String(error) }, 'a key does not open');
      this.#unusable.set(id, `its key does not open: ${String(error)}`);
      return undefined;
    }
  }

  /** A worker could not use the certificate of this host. */
  unusable(host: string, reason: string): void {
    const id = this.#table.find(host)?.id;
    if (id !== undefined) this.#unusable.set(id, reason);
  }

  /** The certificate of exactly this name, for who asks about it; its key stays sealed. */
  known(host: string): KnownCertificate | undefined {
    const found = this.#table.find(host);
    return found && { ...found, problem: this.#unusable.get(found.id) };
  }

  get counts(): { readonly known: number; readonly unusable: number } {
    return { known: this.#table.entries().size, unusable: this.#unusable.size };
  }

  /** Every name there is a certificate for. */
  hosts(): Iterable<string> {
    return this.#table.hosts();
  }

  entries(): ReadonlyMap<string, Certificate> {
    return this.#table.entries();
  }

  async #readAll(): Promise<void> {
    const { documents, broken } = await this.#ports.certificates.list();
    this.#listed = true;
    const ids = new Set([...documents, ...broken].map(({ id }) => id));
    const gone = [...this.#table.entries().keys()].filter((id) => !ids.has(id));
    for (const id of gone) this.#remove(id);
    for (const { id, value } of documents) this.#put(id, value);
    for (const bad of broken) this.#ports.log.error(bad, 'certificate not loaded');
  }

  /** One that cannot be read leaves the one before in use. */
  async #look(id: string): Promise<void> {
    try {
      const stored = await this.#ports.certificates.get(id);
      if (!stored) this.#remove(id);
      else if (this.#isBetter(id, stored.value)) this.#put(id, stored.value);
    } catch (error) {
      this.#ports.log.error({ certificate: id, error: String(error) }, 'certificate not loaded');
    }
  }

  /** One that clients would refuse never takes the place of another; where there is none, it may try. */
  #isBetter(id: string, { chain, key }: Certificate): boolean {
    if (!this.#table.entries().has(id)) return true;
    const { sealer, clock, log } = this.#ports;
    const opened = sealer.open(key, sealContext.certificate(id));
    const problem = problemOf({ chain, key: opened }, clock.nowMs());
    if (problem !== undefined) {
      log.error(
        { certificate: id, problem },
        'a new certificate is not used: the one before serves on',
      );
    }
    return problem === undefined;
  }

  #put(id: string, certificate: Certificate): void {
    const hosts = this.#table.put(id, certificate);
    if (hosts.length > 0) this.#unusable.delete(id);
    this.#ports.changed(hosts);
  }

  #remove(id: string): void {
    this.#unusable.delete(id);
    this.#ports.changed(this.#table.remove(id));
  }
}
