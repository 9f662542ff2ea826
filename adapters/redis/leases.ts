import type { Lease, Leases } from '#contracts/leases.ts';
import type { Connection } from './connection.ts';
import { leaseKey, tokensKey } from './keys.ts';
import { replicated } from './replicated.ts';
import { acquireScript, renewScript, run } from './scripts.ts';

/**
 * Leases by the clock of Redis. Tokens grow with it too: a failover that forgot the newest one does
 * not give it again. Every call may be repeated without harm, so an answer that was lost is asked for
 * again. Throws `StoreUnavailable`.
 */
export class RedisLeases implements Leases {
  readonly #writes: Connection;
  readonly #waitReplicas: number;

  /** `waitReplicas` must know of a lease before it is given or renewed: a failover keeps it then. */
  constructor(writes: Connection, waitReplicas: number) {
    this.#writes = writes;
    this.#waitReplicas = waitReplicas;
  }

  async acquire(name: string, holder: string, ttlMs: number): Promise<Lease | undefined> {
    const token = await this.#writes.repeat((client) =>
      run(client, acquireScript, [leaseKey(name), tokensKey], [name, holder, ttlMs]),
    );
    if (token === '') return undefined;
    await replicated(this.#writes, this.#waitReplicas);
    return { name, holder, token: Number(token) };
  }

  async renew({ name, token }: Lease, ttlMs: number): Promise<boolean> {
    const kept = await this.#writes.repeat((client) =>
      run(client, renewScript, [leaseKey(name)], [token, ttlMs]),
    );
    if (kept !== 1) return false;
    await replicated(this.#writes, this.#waitReplicas);
    return true;
  }

  async release(lease: Lease): Promise<void> {
    await this.renew(lease, 0);
  }
}
