import type { Certificate } from '#contracts/certificate.ts';

/** In the parent: which certificate is for which host. Keys stay sealed until a worker asks. */
export class CertificateTable {
  readonly #byId = new Map<string, Certificate>();
  readonly #idOfHost = new Map<string, string>();

  /** Takes in a new or changed certificate; returns the hosts whose certificate is another now. */
  put(id: string, certificate: Certificate): readonly string[] {
    if (this.#byId.get(id)?.chain === certificate.chain) return [];
    const before = this.remove(id);
    this.#byId.set(id, certificate);
    for (const host of certificate.hosts) this.#idOfHost.set(host, id);
    return [...new Set([...before, ...certificate.hosts])];
  }

  remove(id: string): readonly string[] {
    const hosts = this.#byId.get(id)?.hosts ?? [];
    this.#byId.delete(id);
    for (const host of hosts) if (this.#idOfHost.get(host) === id) this.#idOfHost.delete(host);
    return hosts;
  }

  /** The certificate made for exactly this name (which may be a wildcard's own name). */
  find(host: string): { readonly id: string; readonly certificate: Certificate } | undefined {
    const id = this.#idOfHost.get(host);
    const certificate = id === undefined ? undefined : this.#byId.get(id);
    return id !== undefined && certificate ? { id, certificate } : undefined;
  }

  hosts(): Iterable<string> {
    return this.#idOfHost.keys();
  }

  entries(): ReadonlyMap<string, Certificate> {
    return this.#byId;
  }
}
