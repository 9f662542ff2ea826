import type { Certificate } from '#contracts/certificate.ts';
import type { Log } from '#contracts/log.ts';
import { sealContext } from '#contracts/pod.ts';
import type { Sealer } from '#contracts/sealer.ts';
import type { Collection } from '#contracts/store.ts';
import { CertificateTable } from './certificate-table.ts';
import type { Identity } from './tls.ts';

export interface CertificateFeedPorts {
  readonly certificates: Collection<Certificate>;
  readonly sealer: Sealer;
  readonly log: Log;
  /** The certificate of these hosts is another now. */
  changed(hosts: readonly string[]): void;
}

/** The parent's certificates, as the store has them. Keys are opened only for a worker that asks. */
export class CertificateFeed {
  readonly #ports: CertificateFeedPorts;
  readonly #table = new CertificateTable();
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
      this.#ports.changed(this.#table.put(id, certificate));
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
      return undefined;
    }
  }

  entries(): ReadonlyMap<string, Certificate> {
    return this.#table.entries();
  }

  async #readAll(): Promise<void> {
    const { documents, broken } = await this.#ports.certificates.list();
    this.#listed = true;
    const ids = new Set([...documents, ...broken].map(({ id }) => id));
    const gone = [...this.#table.entries().keys()].filter((id) => !ids.has(id));
    for (const id of gone) this.#ports.changed(this.#table.remove(id));
    for (const { id, value } of documents) this.#ports.changed(this.#table.put(id, value));
    for (const bad of broken) this.#ports.log.error(bad, 'certificate not loaded');
  }

  /** One that cannot be read leaves the one before in use. */
  async #look(id: string): Promise<void> {
    try {
      const stored = await this.#ports.certificates.get(id);
      this.#ports.changed(stored ? this.#table.put(id, stored.value) : this.#table.remove(id));
    } catch (error) {
      this.#ports.log.error({ certificate: id, error: String(error) }, 'certificate not loaded');
    }
  }
}
