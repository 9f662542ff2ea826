import type { Lease, Leases } from '#contracts/leases.ts';
import type { Timeline } from './timeline.ts';

/** The leases that everybody shares, and who truly holds one. */
export class LeaseServer implements Leases {
  readonly #leases: Leases;
  readonly #timeline: Timeline;
  #held: { readonly lease: Lease; readonly untilMs: number } | undefined;

  constructor(leases: Leases, timeline: Timeline) {
    this.#leases = leases;
    this.#timeline = timeline;
  }

  /** The one lease there is, while somebody holds it. */
  get holder(): string | undefined {
    const held = this.#held;
    return held && held.untilMs > this.#timeline.elapsedMs ? held.lease.holder : undefined;
  }

  async acquire(name: string, holder: string, ttlMs: number): Promise<Lease | undefined> {
    const lease = await this.#leases.acquire(name, holder, ttlMs);
    if (lease) this.#hold(lease, ttlMs);
    return lease;
  }

  async renew(lease: Lease, ttlMs: number): Promise<boolean> {
    const kept = await this.#leases.renew(lease, ttlMs);
    if (kept) this.#hold(lease, ttlMs);
    return kept;
  }

  async release(lease: Lease): Promise<void> {
    await this.#leases.release(lease);
    if (this.#held?.lease.token === lease.token) this.#held = undefined;
  }

  #hold(lease: Lease, ttlMs: number): void {
    this.#held = { lease, untilMs: this.#timeline.elapsedMs + ttlMs };
  }
}
