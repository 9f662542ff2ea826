import type { Clock } from '#contracts/clock.ts';
import type { Lease, Leases } from '#contracts/leases.ts';

interface Held {
  readonly lease: Lease;
  readonly untilMs: number;
}

/**
 * Leases among the parts of one process.
 *
 * A store keeps the fences of earlier processes, so tokens must go on growing over restarts: they
 * start after `newestToken` where the caller knows it, else at the wall clock.
 */
export class MemoryLeases implements Leases {
  readonly #clock: Clock;
  readonly #held = new Map<string, Held>();
  #token: number;

  constructor(clock: Clock, newestToken: number = clock.nowMs()) {
    this.#clock = clock;
    this.#token = newestToken;
  }

  async acquire(name: string, holder: string, ttlMs: number): Promise<Lease | undefined> {
    const current = this.#current(name);
    if (current && current.holder !== holder) return undefined;
    const lease = current ?? { name, holder, token: ++this.#token };
    this.#hold(lease, ttlMs);
    return lease;
  }

  async renew(lease: Lease, ttlMs: number): Promise<boolean> {
    if (this.#current(lease.name)?.token !== lease.token) return false;
    this.#hold(lease, ttlMs);
    return true;
  }

  async release(lease: Lease): Promise<void> {
    if (this.#current(lease.name)?.token === lease.token) this.#held.delete(lease.name);
  }

  #current(name: string): Lease | undefined {
    const held = this.#held.get(name);
    return held && held.untilMs > this.#clock.monotonicMs() ? held.lease : undefined;
  }

  #hold(lease: Lease, ttlMs: number): void {
    this.#held.set(lease.name, { lease, untilMs: this.#clock.monotonicMs() + ttlMs });
  }
}
