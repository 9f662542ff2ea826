import type { Limit, Limits } from '../../certs/limits/budget.ts';

/** A published limit as an authority holds us to it: by the time at which all would be even again. */
class Held {
  readonly #limit: Limit;
  #evenAtMs = 0;

  constructor(limit: Limit) {
    this.#limit = limit;
  }

  /** False: it is refused. */
  spend(nowMs: number): boolean {
    const { size, refillMs } = this.#limit;
    const evenAtMs = Math.max(this.#evenAtMs, nowMs) + refillMs;
    if (evenAtMs - nowMs > size * refillMs + 1) return false;
    this.#evenAtMs = evenAtMs;
    return true;
  }
}

interface Made {
  readonly hosts: string;
  readonly windowMs: number;
  replaced: boolean;
}

/**
 * An authority that makes certificates on a virtual clock and holds us to its limits by arithmetic of
 * its own: what it refuses, `certs/limits` got wrong.
 */
export class LimitingAuthority {
  refused = 0;
  /** Orders, by how they counted. */
  readonly orders = { exempt: 0, sameHosts: 0, counted: 0 };
  readonly #limits: Limits;
  readonly #account: Held | undefined;
  readonly #domain: Held | undefined;
  readonly #sets = new Map<string, Held | undefined>();
  readonly #made: Made[] = [];

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#account = limits.orders && new Held(limits.orders);
    this.#domain = limits.certificates && new Held(limits.certificates);
  }

  /** `replaces`: what `make` answered for it; null: the order names none. */
  order(hosts: string, replaces: string | null, nowMs: number): void {
    if (this.#isExempt(hosts, replaces, nowMs)) {
      this.orders.exempt += 1;
      return;
    }
    const known = this.#sets.has(hosts);
    const { sameHosts, renewalsCount } = this.#limits;
    const set = this.#sets.get(hosts) ?? (sameHosts && new Held(sameHosts));
    this.#sets.set(hosts, set);
    this.orders[known ? 'sameHosts' : 'counted'] += 1;
    const counts = [
      set,
      known && !renewalsCount ? undefined : this.#account,
      known ? undefined : this.#domain,
    ];
    if (counts.map((held) => held?.spend(nowMs)).includes(false)) this.refused += 1;
  }

  /** It names the certificate of the same hosts that it replaces, in its window, for the first time. */
  #isExempt(hosts: string, replaces: string | null, nowMs: number): boolean {
    const made = replaces === null ? undefined : this.#made[Number(replaces)];
    if (made?.hosts !== hosts || made.replaced || made.windowMs > nowMs) return false;
    made.replaced = true;
    return true;
  }

  /** Notes a certificate whose window for renewing opens at `windowMs`; its name. */
  make(hosts: string, windowMs: number): string {
    return String(this.#made.push({ hosts, windowMs, replaced: false }) - 1);
  }
}
