import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { Sealer } from '#contracts/sealer.ts';
import { zSealed } from '#contracts/sealer.ts';
import type { Store } from '#contracts/store.ts';
import { collection, WriteConflict } from '#contracts/store.ts';
import { exportKey, makeKeys } from '../authority/sign.ts';
import type { PublicAuthority } from './authority.ts';
import { CaProblem } from './problem.ts';
import { AcmeSession } from './session.ts';

const zAccount = z.strictObject({
  key: zSealed,
  /** Null: the authority has not said yet. */
  url: z.string().nullable(),
  madeAtMs: z.number(),
});
type Account = z.infer<typeof zAccount>;

const accounts = (store: Store) => collection(store, 'acme-accounts', zAccount);
const sealedAs = (id: string): string => `acme-account/${id}/key`;

// An authority that forgets accounts at once would get a new one with each order.
const replaceAfterMs = 24 * 60 * 60 * 1000;

export interface AccountPorts {
  readonly store: Store;
  readonly sealer: Sealer;
  readonly clock: Clock;
}

/** The account with one authority: its key is stored before the authority hears of it. */
export class AcmeAccount {
  readonly #ports: AccountPorts;
  readonly #authority: PublicAuthority;
  readonly #id: string;
  #session: Promise<AcmeSession> | undefined;

  constructor(ports: AccountPorts, authority: PublicAuthority) {
    this.#ports = ports;
    this.#authority = authority;
    // Another binding is another account.
    const { directoryUrl, binding } = authority;
    const name = JSON.stringify([directoryUrl, binding?.kid ?? null]);
    this.#id = createHash('sha256').update(name).digest('base64url');
  }

  /** Opened once for all; throws `CaProblem`, and the next call tries again. */
  async session(): Promise<AcmeSession> {
    this.#session ??= this.#open();
    try {
      return await this.#session;
    } catch (error) {
      this.#session = undefined;
      throw error;
    }
  }

  /**
   * The authority does not know the account any more: another one is made when it is next needed. Throws
   * `CaProblem` when this one is less than a day old.
   */
  async replace(): Promise<void> {
    this.#session = undefined;
    const { store, clock } = this.#ports;
    const stored = await accounts(store).get(this.#id);
    if (!stored) return;
    if (clock.nowMs() - stored.value.madeAtMs < replaceAfterMs) {
      throw new CaProblem('it refuses our account, which is less than a day old');
    }
    await accounts(store).remove(this.#id, { version: stored.version });
  }

  async #open(): Promise<AcmeSession> {
    const { sealer, clock, store } = this.#ports;
    const { directoryUrl, roots, binding, contact } = this.#authority;
    const { value, version } = await this.#stored();
    const session = new AcmeSession({
      directoryUrl,
      roots,
      binding,
      clock,
      accountKey: sealer.open(value.key, sealedAs(this.#id)),
      accountUrl: value.url ?? undefined,
    });
    if (value.url !== null) return session;
    // The same key always gets the same account, so whoever dies here is none too many.
    const url = await session.register(contact);
    try {
      await accounts(store).put(this.#id, { ...value, url }, { version });
    } catch (error) {
      if (!(error instanceof WriteConflict)) throw error;
    }
    return session;
  }

  async #stored(): Promise<{ readonly value: Account; readonly version: number }> {
    const { store, sealer, clock } = this.#ports;
    const found = await accounts(store).get(this.#id);
    if (found) return found;
    const key = await exportKey((await makeKeys()).privateKey);
    const sealed = sealer.seal(key, sealedAs(this.#id));
    const value = { key: sealed, url: null, madeAtMs: clock.nowMs() };
    try {
      return { value, version: await accounts(store).put(this.#id, value, 'absent') };
    } catch (error) {
      if (!(error instanceof WriteConflict)) throw error;
      return this.#stored();
    }
  }
}
