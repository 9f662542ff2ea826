import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { Random } from '#contracts/random.ts';
import type { Store } from '#contracts/store.ts';
import { collection, WriteConflict } from '#contracts/store.ts';
import { Refused } from '../errors.ts';
import { retrying } from '../retrying.ts';
import { zAccountType } from './names.ts';
import type { IssuedToken, Subject, Tokens } from './tokens.ts';
import { accessTokenSeconds } from './tokens.ts';

/**
 * What follows a login: a refresh token that is good for one use, and the access tokens that came of
 * it (RFC 9700, 4.14.2). A refresh token that comes a second time was stolen, or its owner was: the
 * session ends, with all its tokens.
 */

const sessionSeconds = 14 * 24 * 3600;
// A session refreshed every few seconds must not grow without bound.
const accessesMax = 50;

const zExpiring = z.strictObject({ jti: z.string(), expiresAtMs: z.number() });

const zSession = z.strictObject({
  tenant: z.string(),
  username: z.string(),
  accountType: zAccountType.default('user'),
  /** Seconds. */
  accessFor: z.int().default(accessTokenSeconds),
  refreshFor: z.int().default(sessionSeconds),
  /** The client that may refresh it; null: whoever has the token. */
  clientId: z.string().nullable(),
  /** The one refresh token that is good. */
  refreshJti: z.string(),
  /** Access tokens that have not expired. */
  accesses: z.array(zExpiring),
  ended: z.boolean(),
  expiresAtMs: z.number(),
});
type Session = z.infer<typeof zSession>;

const sessions = (store: Store) => collection(store, 'sessions', zSession);
const revocations = (store: Store) => collection(store, 'revoked-tokens', zExpiring);

/** Whether this access token was revoked before its time. */
export const isRevoked = async (store: Store, jti: string): Promise<boolean> =>
  (await revocations(store).get(jti)) !== undefined;

interface SessionPorts {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
}

export interface TokenPair {
  readonly access_token: IssuedToken;
  readonly refresh_token: Omit<IssuedToken, 'access_token'> & { readonly refresh_token: string };
}

/** Under what a session begins or goes on. */
interface Opening {
  readonly issuer: string;
  readonly clientId: string | null;
  /** Seconds that access tokens are good for. */
  readonly accessFor?: number;
  /** Seconds that it lasts without being refreshed. */
  readonly refreshFor?: number;
}

type Life = Pick<Session, 'username' | 'accountType' | 'accessFor' | 'refreshFor'>;

export class Sessions {
  readonly #ports: SessionPorts;
  readonly #tokens: Tokens;
  readonly #tenant: string;
  readonly #isGood: (username: string, issuedAtMs: number) => Promise<boolean>;

  /** `isGood`: whether tokens of this user, issued then, still count. */
  constructor(
    ports: SessionPorts,
    { tokens, tenant }: { readonly tokens: Tokens; readonly tenant: string },
    isGood: (username: string, issuedAtMs: number) => Promise<boolean>,
  ) {
    this.#ports = ports;
    this.#tokens = tokens;
    this.#tenant = tenant;
    this.#isGood = isGood;
  }

  /** The tokens of who has just proved to be one, with the id of the session. */
  async open(
    { username, accountType }: Subject,
    { issuer, clientId, accessFor = accessTokenSeconds, refreshFor = sessionSeconds }: Opening,
  ): Promise<TokenPair & { readonly session: string }> {
    const session = this.#ports.random.bytes(16).toString('hex');
    const life = { username, accountType, accessFor, refreshFor };
    const pair = await this.#issue(life, issuer, session);
    await sessions(this.#ports.store).put(
      session,
      {
        tenant: this.#tenant,
        ...life,
        clientId,
        refreshJti: pair.refresh_token.jti,
        accesses: [this.#entry(pair.access_token)],
        ended: false,
        expiresAtMs: this.#ports.clock.nowMs() + refreshFor * 1000,
      },
      'absent',
    );
    return { ...pair, session };
  }

  /** New tokens for a refresh token, which is spent by this. Throws `Refused`. */
  async refresh(token: string, { issuer, clientId }: Opening): Promise<TokenPair> {
    const claims = await this.#tokens.readRefresh(token);
    const { store } = this.#ports;
    const stored = claims && (await sessions(store).get(claims.session));
    if (!claims || !stored || stored.value.ended) throw invalidGrant();
    const { value, version } = stored;
    if (value.clientId !== null && value.clientId !== clientId) throw invalidGrant();
    if (value.refreshJti !== claims.jti) {
      await this.end(claims.session);
      throw invalidGrant();
    }
    if (!(await this.#isGood(value.username, claims.issuedAtMs))) throw invalidGrant();
    const pair = await this.#issue(value, issuer, claims.session);
    const next = {
      ...value,
      refreshJti: pair.refresh_token.jti,
      accesses: [...this.#living(value), this.#entry(pair.access_token)].slice(-accessesMax),
      expiresAtMs: this.#ports.clock.nowMs() + value.refreshFor * 1000,
    };
    try {
      await sessions(store).put(claims.session, next, { version });
    } catch (error) {
      // The same token was used twice at a time; one of the two went through.
      if (error instanceof WriteConflict) throw invalidGrant();
      throw error;
    }
    return pair;
  }

  /** Ends what the token stands for (RFC 7009); one that is not valid stands for nothing. */
  async revoke(token: string): Promise<void> {
    const refresh = await this.#tokens.readRefresh(token);
    if (refresh) return this.end(refresh.session);
    const access = await this.#tokens.verify(token);
    if (access?.jti !== undefined)
      await this.#revokeAccess({ jti: access.jti, expiresAtMs: access.expiresAtMs });
  }

  /** Ends a session with all its tokens. */
  async end(session: string): Promise<void> {
    const { store } = this.#ports;
    // With its version: a refresh at this moment adds an access token, which has to end too.
    await retrying(async () => {
      const stored = await sessions(store).get(session);
      if (!stored) return;
      const { value, version } = stored;
      await sessions(store).put(session, { ...value, ended: true }, { version });
      for (const access of this.#living(value)) await this.#revokeAccess(access);
    });
  }

  /** Forgets what has expired. */
  async sweep(): Promise<void> {
    const { store, clock } = this.#ports;
    for (const kept of [sessions(store), revocations(store)]) {
      const { documents } = await kept.list();
      for (const { id, value } of documents)
        if (value.expiresAtMs <= clock.nowMs()) await kept.remove(id, 'anything');
    }
  }

  async #issue(life: Life, issuer: string, session: string): Promise<TokenPair> {
    const { username, accountType, accessFor, refreshFor } = life;
    const subject = { username, accountType };
    const access = await this.#tokens.issue(subject, { issuer, seconds: accessFor });
    const refresh = await this.#tokens.issueRefresh(
      { ...subject, session },
      { issuer, seconds: refreshFor },
    );
    const { access_token: text, ...rest } = refresh;
    return { access_token: access, refresh_token: { refresh_token: text, ...rest } };
  }

  #living({ accesses }: Session): z.infer<typeof zExpiring>[] {
    return accesses.filter(({ expiresAtMs }) => expiresAtMs > this.#ports.clock.nowMs());
  }

  #entry({ jti, expires_in: seconds }: IssuedToken): z.infer<typeof zExpiring> {
    return { jti, expiresAtMs: this.#ports.clock.nowMs() + seconds * 1000 };
  }

  async #revokeAccess(access: z.infer<typeof zExpiring>): Promise<void> {
    await revocations(this.#ports.store).put(access.jti, access, 'anything');
  }
}

const invalidGrant = (): Refused =>
  new Refused(401, 'Invalid refresh token: it is malformed, expired, used before or revoked.');
