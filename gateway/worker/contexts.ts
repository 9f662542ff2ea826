import type { Clock } from '#contracts/clock.ts';
import { parentOf, podsDomain } from '#contracts/hosts.ts';
import type { Limits } from '../limits.ts';
import type { OwnIdentity } from '../messages.ts';
import type { Identity } from '../tls.ts';
import { Presented } from '../tls.ts';

/** What the contexts tell the parent. */
export interface ContextsOwner {
  /** A cold host was visited: its certificate is wanted. */
  wanted(host: string): void;
  /** A certificate that OpenSSL does not take; without it the host is served as if it had none. */
  unusable(host: string, reason: string): void;
  /** The wildcard answers for this host, because a bound was reached. */
  limited(host: string, bound: 'certificateWaitMs' | 'contextBuildsPerSecondMax'): void;
}

type Done = (context: Presented | undefined) => void;

interface Waiting {
  readonly callbacks: Done[];
  readonly cancel: () => void;
}

/**
 * The TLS contexts of a worker: built when a host is first visited, the least recently used dropped
 * beyond a bound. A cold host waits for the parent's answer at most `certificateWaitMs`; then, and
 * when too many are being built, the wildcard answers for it.
 */
export class Contexts {
  readonly #clock: Clock;
  readonly #limits: Limits;
  #master: Buffer;
  readonly #owner: ContextsOwner;
  readonly #built = new Map<string, Presented>();
  /** Hosts that have none of their own: nobody is asked for it again. */
  readonly #without = new Set<string>();
  readonly #waiting = new Map<string, Waiting>();
  /** By what the hosts they are for end with; their contexts are among the others, by `*.` and that. */
  readonly #wildcards = new Map<string, Identity>();
  #buildsInSecond = 0;
  #second = 0;

  constructor(
    { clock, limits }: { readonly clock: Clock; readonly limits: Limits },
    master: Buffer,
    owner: ContextsOwner,
  ) {
    this.#clock = clock;
    this.#limits = limits;
    this.#master = master;
    this.#owner = owner;
  }

  /** How many are ready. */
  get count(): number {
    return this.#built.size;
  }

  /** One that cannot be used leaves the one before in use; undefined: there is none any more. */
  setWildcard(domain: string, identity: Identity | undefined): void {
    const parent = podsDomain(domain);
    if (!identity) {
      this.#wildcards.delete(parent);
      this.#built.delete(`*.${parent}`);
      return;
    }
    // The first of a domain is built when it is used: there may be as many as tenants.
    if (this.#wildcards.has(parent)) {
      const built = this.#build(identity, `*.${parent}`);
      if (!built) return;
      this.#used(`*.${parent}`, built);
    }
    this.#wildcards.set(parent, identity);
  }

  /** Contexts take it over one by one, as they are used. */
  setMaster(master: Buffer): void {
    this.#master = master;
  }

  /** `own`: the host has a route and so may have its own certificate; others get the wildcard. */
  get(host: string, own: boolean, done: Done): void {
    if (!own || this.#without.has(host)) {
      done(this.#wildcardFor(host));
      return;
    }
    const built = this.#built.get(host);
    if (built) {
      this.#used(host, built);
      done(built);
      return;
    }
    const waiting = this.#waiting.get(host);
    if (waiting) waiting.callbacks.push(done);
    else if (!this.#mayBuild()) {
      this.#owner.limited(host, 'contextBuildsPerSecondMax');
      done(this.#wildcardFor(host));
    } else {
      const cancel = this.#clock.after(this.#limits.certificateWaitMs, () => {
        this.#owner.limited(host, 'certificateWaitMs');
        this.#settle(host, this.#wildcardFor(host));
      });
      this.#waiting.set(host, { callbacks: [done], cancel });
      this.#owner.wanted(host);
    }
  }

  /** The parent's answer; one that comes late is kept for the next handshake. */
  answer(host: string, identity: OwnIdentity): void {
    if (identity === 'none') this.#remember(host);
    const context = identity && identity !== 'none' ? this.#build(identity, host) : undefined;
    if (context) this.#used(host, context);
    this.#settle(host, context ?? this.#wildcardFor(host));
  }

  /** The next handshake of these hosts asks anew; connections keep what they have. */
  forget(hosts: readonly string[]): void {
    for (const host of hosts) {
      this.#built.delete(host);
      this.#without.delete(host);
    }
  }

  #remember(host: string): void {
    this.#without.add(host);
    const [oldest] = this.#without;
    if (this.#without.size > this.#limits.contextsMax && oldest !== undefined) {
      this.#without.delete(oldest);
    }
  }

  /** Who names no host, and the API of a domain, are shown any: better than no word at all. */
  #wildcardFor(host: string): Presented | undefined {
    const own = this.#wildcard(parentOf(host));
    if (own) return own;
    for (const parent of this.#wildcards.keys()) {
      const any = this.#wildcard(parent);
      if (any) return any;
    }
    return undefined;
  }

  #wildcard(parent: string): Presented | undefined {
    const identity = this.#wildcards.get(parent);
    if (!identity) return undefined;
    const name = `*.${parent}`;
    const built = this.#built.get(name) ?? this.#build(identity, name);
    if (built) this.#used(name, built);
    else this.#wildcards.delete(parent);
    return built;
  }

  /** One record that is damaged must not end the process that serves everybody else. */
  #build(identity: Identity, host: string): Presented | undefined {
    try {
      return new Presented(identity, host, this.#master);
    } catch (error) {
      this.#owner.unusable(host, String(error));
      return undefined;
    }
  }

  #settle(host: string, context: Presented | undefined): void {
    const waiting = this.#waiting.get(host);
    if (!waiting) return;
    this.#waiting.delete(host);
    waiting.cancel();
    for (const done of waiting.callbacks) done(context);
  }

  #used(host: string, context: Presented): void {
    context.keepTickets(this.#master);
    this.#built.delete(host);
    this.#built.set(host, context);
    const [oldest] = this.#built.keys();
    if (this.#built.size > this.#limits.contextsMax && oldest !== undefined) {
      this.#built.delete(oldest);
    }
  }

  #mayBuild(): boolean {
    const second = Math.floor(this.#clock.monotonicMs() / 1000);
    if (second !== this.#second) this.#buildsInSecond = 0;
    this.#second = second;
    this.#buildsInSecond += 1;
    return this.#buildsInSecond <= this.#limits.contextBuildsPerSecondMax;
  }
}
