import type { SecureContext } from 'node:tls';
import type { Clock } from '#contracts/clock.ts';
import type { Limits } from '../limits.ts';
import type { Identity } from '../tls.ts';
import { secureContext } from '../tls.ts';

type Done = (context: SecureContext | undefined) => void;

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
  readonly #master: Buffer;
  readonly #ask: (host: string) => void;
  readonly #built = new Map<string, SecureContext>();
  readonly #waiting = new Map<string, Waiting>();
  #wildcard: SecureContext | undefined;
  #buildsInSecond = 0;
  #second = 0;

  constructor(
    { clock, limits }: { readonly clock: Clock; readonly limits: Limits },
    master: Buffer,
    ask: (host: string) => void,
  ) {
    this.#clock = clock;
    this.#limits = limits;
    this.#master = master;
    this.#ask = ask;
  }

  setWildcard(identity: Identity): void {
    this.#wildcard = secureContext(identity, '*', this.#master);
  }

  /** `own`: the host has a route and so may have its own certificate; others get the wildcard. */
  get(host: string, own: boolean, done: Done): void {
    const built = own ? this.#built.get(host) : this.#wildcard;
    if (built) {
      if (own) this.#used(host, built);
      done(built);
      return;
    }
    const waiting = this.#waiting.get(host);
    if (waiting) waiting.callbacks.push(done);
    else if (!own || !this.#mayBuild()) done(this.#wildcard);
    else {
      const cancel = this.#clock.after(this.#limits.certificateWaitMs, () => {
        this.#settle(host, this.#wildcard);
      });
      this.#waiting.set(host, { callbacks: [done], cancel });
      this.#ask(host);
    }
  }

  /** The parent's answer; one that comes late is kept for the next handshake. */
  answer(host: string, identity: Identity | undefined): void {
    if (!identity) {
      this.#settle(host, this.#wildcard);
      return;
    }
    const context = secureContext(identity, host, this.#master);
    this.#used(host, context);
    this.#settle(host, context);
  }

  /** The next handshake of these hosts asks anew; connections keep what they have. */
  forget(hosts: readonly string[]): void {
    for (const host of hosts) this.#built.delete(host);
  }

  #settle(host: string, context: SecureContext | undefined): void {
    const waiting = this.#waiting.get(host);
    if (!waiting) return;
    this.#waiting.delete(host);
    waiting.cancel();
    for (const done of waiting.callbacks) done(context);
  }

  #used(host: string, context: SecureContext): void {
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
