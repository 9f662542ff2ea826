import { domainOfWildcard } from '#contracts/hosts.ts';

/** What of a certificate is kept in memory, whether anybody uses it or not: some 300 bytes. */
export interface Listed {
  /** Of its document in the store. */
  readonly version: number;
  readonly hosts: readonly string[];
  readonly notAfterMs: number;
}

/** Which certificate is for which host, without the certificates. */
export class HostIndex {
  readonly #byId = new Map<string, Listed>();
  readonly #idOfHost = new Map<string, string>();
  readonly #wildcards = new Set<string>();

  /** Takes in a new or changed certificate; returns the hosts whose certificate is another now. */
  put(id: string, listed: Listed): readonly string[] {
    const before = this.remove(id);
    this.#byId.set(id, listed);
    for (const host of listed.hosts) {
      this.#idOfHost.set(host, id);
      if (domainOfWildcard(host) !== undefined) this.#wildcards.add(host);
    }
    return [...new Set([...before, ...listed.hosts])];
  }

  remove(id: string): readonly string[] {
    const hosts = this.#byId.get(id)?.hosts ?? [];
    this.#byId.delete(id);
    for (const host of hosts) {
      if (this.#idOfHost.get(host) !== id) continue;
      this.#idOfHost.delete(host);
      this.#wildcards.delete(host);
    }
    return hosts;
  }

  get(id: string): Listed | undefined {
    return this.#byId.get(id);
  }

  /** The certificate made for exactly this name (which may be a wildcard's own name). */
  idOf(host: string): string | undefined {
    return this.#idOfHost.get(host);
  }

  all(): Iterable<Listed> {
    return this.#byId.values();
  }

  ids(): Iterable<string> {
    return this.#byId.keys();
  }

  /** The names by which domains are known to be served. */
  get wildcards(): ReadonlySet<string> {
    return this.#wildcards;
  }

  get size(): number {
    return this.#byId.size;
  }
}
