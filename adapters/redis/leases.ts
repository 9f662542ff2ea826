import type { Lease, Leases } from '#contracts/leases.ts';
import type { Connection } from './connection.ts';
import { leaseKey, tokensKey } from './keys.ts';
import { acquireScript, renewScript, run } from './scripts.ts';

/**
 * Leases by the clock of Redis. Tokens grow with it too: a failover that forgot the newest one does
 * not give it again. Every call may be repeated without harm, so an answer that was lost is asked for
 * again. Throws `StoreUnavailable`.
 */
export class RedisLeases implements Leases {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async acquire(name: string, holder: string, ttlMs: number): Promise<Lease | undefined> {
    const token = await this.#connection.repeat((client) =>
      run(client, acquireScript, [leaseKey(name), tokensKey], [name, holder, ttlMs]),
    );
    return token === '' ? undefined : { name, holder, token: Number(token) };
  }

  async renew({ name, token }: Lease, ttlMs: number): Promise<boolean> {
    const kept = await this.#connection.repeat((client) =>
      run(client, renewScript, [leaseKey(name)], [token, ttlMs]),
    );
    return kept === 1;
  }

  async release(lease: Lease): Promise<void> {
    await this.renew(lease, 0);
  }
}
