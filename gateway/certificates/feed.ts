import type { Certificate } from '#contracts/certificate.ts';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import { sealContext } from '#contracts/pod.ts';
import type { Sealer } from '#contracts/sealer.ts';
import type { Change, Collection, Typed } from '#contracts/store.ts';
import { BrokenDocument } from '#contracts/store.ts';
import type { OwnIdentity } from '../messages.ts';
import type { Identity } from '../tls.ts';
import { problemOf } from './check.ts';
import type { CertificateEnds } from './ends.ts';
import { endsOf } from './ends.ts';
import { openCertificateFile } from './file.ts';

export interface CertificateFeedPorts {
  readonly certificates: Pick<Collection<Certificate>, 'get' | 'ids' | 'pagesSince' | 'watch'>;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly log: Log;
  /** The certificate of these hosts is another now. */
  changed(hosts: readonly string[]): void;
}

/** A certificate of the store, and whether handshakes can be made with it. */
export interface KnownCertificate {
  readonly id: string;
  /** Undefined while its copy on disk is damaged. */
  readonly certificate: Certificate | undefined;
  /** Why it cannot be used; undefined: it can. */
  readonly problem: string | undefined;
}

const damaged = 'its copy on disk is damaged, and the store has not given it again yet';

/**
 * The parent's certificates: in memory only which host has which, on disk a copy of all that the store has,
 * so that they are there when nothing else is. Keys are opened only for a worker that asks.
 */
export class CertificateFeed {
  readonly #ports: CertificateFeedPorts;
  readonly #kept: ReturnType<typeof openCertificateFile>;
  readonly #unusable = new Map<string, string>();
  readonly #mending = new Map<string, Promise<boolean>>();
  /** Something was not taken over, so the next start has to read it again. */
  #behind = false;
  #complete: boolean;

  constructor(ports: CertificateFeedPorts, path: string) {
    this.#ports = ports;
    this.#kept = openCertificateFile(path, ports.log);
    this.#complete = this.#kept.file.version > 0;
  }

  /** Reads what changed since it last did, then follows, until the signal aborts; `read` is called between. */
  async follow(signal: AbortSignal, read: () => void): Promise<void> {
    // Watched before it is read: what is stored in between would never be looked at.
    const changes = this.#ports.certificates.watch(signal);
    await this.#catchUp(this.#kept.file.version);
    read();
    let heard = this.#kept.file.version;
    for await (const change of changes) {
      // Of one version there may be many, but not after a later one.
      if (change.version > heard && !this.#behind) this.#kept.file.write({ version: heard });
      await this.#look(change);
      heard = Math.max(heard, change.version);
    }
  }

  close(): void {
    this.#kept.file.close();
  }

  /** Of exactly this name; undefined when there is none that can be used now. */
  identity(host: string): Identity | undefined {
    const id = this.#kept.index.idOf(host);
    if (id === undefined) return undefined;
    const certificate = this.#kept.file.read(id);
    if (certificate) return this.#open(id, certificate);
    void this.#mend(id);
    return undefined;
  }

  /**
   * Calls back with what `identity` says: at once, so that no news of a change can overtake it, or after the
   * store was asked for one that is damaged on disk.
   */
  wanted(host: string, done: (identity: OwnIdentity) => void): void {
    const id = this.#kept.index.idOf(host);
    const identity = id === undefined ? 'none' : this.identity(host);
    const mending = this.#mending.get(id ?? '');
    if (identity || !mending) done(identity);
    else void this.#answerMended(host, mending, done);
  }

  /** A worker could not use the certificate of this host. */
  unusable(host: string, reason: string): void {
    const id = this.#kept.index.idOf(host);
    if (id !== undefined) this.#unusable.set(id, reason);
  }

  /** The certificate of exactly this name, for who asks about it; its key stays sealed. */
  known(host: string): KnownCertificate | undefined {
    const id = this.#kept.index.idOf(host);
    if (id === undefined) return undefined;
    const certificate = this.#kept.file.read(id);
    const problem = this.#unusable.get(id) ?? (certificate ? undefined : damaged);
    return { id, certificate, problem };
  }

  get counts(): { readonly known: number; readonly unusable: number } {
    return { known: this.#kept.index.size, unusable: this.#unusable.size };
  }

  /** When those end that clients are shown: of a host without a route nobody asks. */
  ends(isRouted: (host: string) => boolean): CertificateEnds {
    return endsOf(this.#kept.index, isRouted, this.#ports.clock.nowMs());
  }

  /** Why handshakes may fail that should not, in a sentence; undefined: all certificates are known. */
  get problem(): string | undefined {
    if (this.#complete) return undefined;
    return `certificates are read for the first time, ${this.#kept.index.size} are known so far`;
  }

  /** The names by which domains are known to be served. */
  get wildcards(): ReadonlySet<string> {
    return this.#kept.index.wildcards;
  }

  async #catchUp(since: number): Promise<void> {
    const { certificates, log } = this.#ports;
    const { index, file } = this.#kept;
    this.#behind = false;
    let reached = since;
    for await (const { documents, broken, version } of certificates.pagesSince(since)) {
      this.#take(documents);
      for (const bad of broken) log.error(bad, 'certificate not loaded');
      this.#behind ||= broken.length > 0;
      reached = version;
    }
    // A store that was restored has forgotten what we know.
    if (reached < since) return this.#catchUp(0);
    const there = new Set(await certificates.ids());
    this.#drop([...index.ids()].filter((id) => !there.has(id)));
    this.#complete = true;
    if (!this.#behind) file.write({ version: reached });
  }

  /** One that cannot be read leaves the one before in use. Throws when the store is away. */
  async #look({ id }: Change): Promise<void> {
    try {
      const stored = await this.#ports.certificates.get(id);
      if (stored) this.#take([stored]);
      else this.#drop([id]);
    } catch (error) {
      if (!(error instanceof BrokenDocument)) throw error;
      this.#ports.log.error({ certificate: id, error: String(error) }, 'certificate not loaded');
      this.#behind = true;
    }
  }

  #take(stored: readonly Typed<Certificate>[]): void {
    const { index } = this.#kept;
    const news = stored.filter(({ id, version }) => index.get(id)?.version !== version);
    const better = news.filter((one) => this.#isBetter(one));
    this.#behind ||= better.length < news.length;
    this.#keep(better);
  }

  #keep(puts: readonly Typed<Certificate>[]): void {
    const { index, file } = this.#kept;
    if (puts.length === 0) return;
    file.write({ puts });
    const hosts = puts.flatMap(({ id, version, value }) => {
      this.#unusable.delete(id);
      return index.put(id, { version, hosts: value.hosts, notAfterMs: value.notAfterMs });
    });
    this.#ports.changed(hosts);
  }

  #drop(ids: readonly string[]): void {
    const { index, file } = this.#kept;
    if (ids.length === 0) return;
    file.write({ removals: ids });
    const hosts = ids.flatMap((id) => {
      this.#unusable.delete(id);
      return index.remove(id);
    });
    this.#ports.changed(hosts);
  }

  /** One that clients would refuse never takes the place of one that works; else it may try. */
  #isBetter({ id, value: { chain, key } }: Typed<Certificate>): boolean {
    const { clock, log } = this.#ports;
    const before = this.#kept.index.get(id) && this.#kept.file.read(id);
    if (!before || before.notAfterMs <= clock.nowMs()) return true;
    let problem: string | undefined;
    try {
      const opened = this.#ports.sealer.open(key, sealContext.certificate(id));
      problem = problemOf({ chain, key: opened }, clock.nowMs());
    } catch (error) {
      problem = `its key does not open: ${String(error)}`;
    }
    if (problem === undefined) return true;
    const said = 'a new certificate is not used: the one before serves on';
    log.error({ certificate: id, problem }, said);
    return false;
  }

  /** One damaged record must not end the program that serves all others. */
  #open(id: string, { chain, key }: Certificate): Identity | undefined {
    try {
      return { chain, key: this.#ports.sealer.open(key, sealContext.certificate(id)) };
    } catch (error) {
      this.#ports.log.error({ certificate: id, error: String(error) }, 'a key does not open');
      this.#unusable.set(id, `its key does not open: ${String(error)}`);
      return undefined;
    }
  }

  /** Has the store give what is damaged on disk, once for all who wait. */
  #mend(id: string): Promise<boolean> {
    const begun = this.#mending.get(id);
    if (begun) return begun;
    if (!this.#unusable.has(id))
      this.#ports.log.error({ certificate: id }, 'a certificate on disk is damaged');
    this.#unusable.set(id, damaged);
    const mending = this.#readAgain(id)
      .catch((error: unknown) => {
        this.#ports.log.warn({ certificate: id, error: String(error) }, 'certificate not loaded');
        return false;
      })
      .finally(() => this.#mending.delete(id));
    this.#mending.set(id, mending);
    return mending;
  }

  async #answerMended(
    host: string,
    mending: Promise<boolean>,
    done: (identity: OwnIdentity) => void,
  ): Promise<void> {
    done((await mending) ? this.identity(host) : undefined);
  }

  /** Whether there is one that can be read now. */
  async #readAgain(id: string): Promise<boolean> {
    const stored = await this.#ports.certificates.get(id);
    const listed = this.#kept.index.get(id);
    if (!stored || !listed) return false;
    // What was heard of meanwhile is newer.
    if (stored.version >= listed.version) this.#keep([stored]);
    return true;
  }
}
