import { createHash } from 'node:crypto';
import type { Clock } from '#contracts/clock.ts';
import type { Leases } from '#contracts/leases.ts';
import type { Fence } from '#contracts/store.ts';

const ttlMs = 30_000; // a program that dies holds up its orders this long
const renewMs = 10_000;
const slots = 1024; // stores remember each fence for ever: certificates share names

/** The right to work on a certificate, while `signal` has not aborted. */
export interface Hold {
  readonly fence: Fence;
  readonly signal: AbortSignal;
  release(): Promise<void>;
}

/** Rights to work on certificates, one holder each among all replicas. */
export class Slots {
  readonly #ports: { readonly leases: Leases; readonly clock: Clock };
  readonly #holder: string;
  readonly #taken = new Set<string>();

  constructor(ports: { readonly leases: Leases; readonly clock: Clock }, holder: string) {
    this.#ports = ports;
    this.#holder = holder;
  }

  /** Undefined: somebody else works on it, or on one that shares its name. */
  async hold(id: string, stop: AbortSignal): Promise<Hold | undefined> {
    const name = slotOf(id);
    if (this.#taken.has(name)) return undefined;
    this.#taken.add(name);
    try {
      const { leases } = this.#ports;
      const lease = await leases.acquire(name, this.#holder, ttlMs);
      if (!lease) {
        this.#taken.delete(name);
        return undefined;
      }
      const lost = new AbortController();
      const keeping = this.#keep(() => leases.renew(lease, ttlMs), lost);
      return {
        fence: { lease: name, token: lease.token },
        signal: AbortSignal.any([stop, lost.signal]),
        release: async () => {
          lost.abort();
          await keeping;
          this.#taken.delete(name);
          await leases.release(lease);
        },
      };
    } catch (error) {
      this.#taken.delete(name);
      throw error;
    }
  }

  async #keep(renew: () => Promise<boolean>, lost: AbortController): Promise<void> {
    const { clock } = this.#ports;
    let sureUntilMs = clock.monotonicMs() + ttlMs;
    while (!lost.signal.aborted) {
      await clock.sleep(renewMs, lost.signal).catch(() => undefined);
      if (lost.signal.aborted) return;
      const askedMs = clock.monotonicMs();
      try {
        if (!(await renew())) lost.abort(new Error('the lease was lost'));
        else sureUntilMs = askedMs + ttlMs;
      } catch (error) {
        // It may still be ours: until its time is over by our own clock.
        if (clock.monotonicMs() + renewMs > sureUntilMs) lost.abort(error);
      }
    }
  }
}

function slotOf(id: string): string {
  const hash = createHash('sha256').update(id).digest().readUInt32BE(0);
  return `certs/${hash % slots}`;
}
