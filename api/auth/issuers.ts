import type { JWTPayload, JWTVerifyGetKey } from 'jose';
import { createLocalJWKSet, createRemoteJWKSet, errors, importSPKI, jwtVerify } from 'jose';
import type { Clock } from '#contracts/clock.ts';
import type { Issuer } from '#contracts/tenant.ts';
import { Refused } from '../errors.ts';
import { zUsername } from './names.ts';

/** Tokens that others issue (RFC 7519), by their keys: at a URL (RFC 7517) or given as PEM. */

// Signatures that only the holder of a private key can make.
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'ES256', 'ES384', 'EdDSA'];
const fetchMs = 5_000;
// Keys that cannot be fetched anew go on being good for this long: their server may be down.
const staleMs = 24 * 3_600_000;

/** A valid token of somebody else. */
export interface Vouched {
  readonly username: string;
  readonly jti: string | undefined;
}

export class Issuers {
  readonly #clock: Clock;
  /** By URL, shared by the tenants that name it. */
  readonly #remote = new Map<string, JWTVerifyGetKey>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * What the token says of its user, or undefined when it is not valid now for this tenant. Throws
   * `Refused` 503 when that cannot be told, because the keys cannot be had.
   */
  async verify(token: string, issuer: Issuer, tenant: string): Promise<Vouched | undefined> {
    const { audience } = issuer;
    try {
      const { payload } = await jwtVerify(token, await this.#keys(issuer), {
        algorithms,
        issuer: issuer.issuer,
        ...(audience === null ? {} : { audience }),
        currentDate: new Date(this.#clock.nowMs()),
        requiredClaims: ['exp'],
      });
      return isForUs(payload, issuer, tenant) ? vouchedBy(payload, issuer) : undefined;
    } catch (error) {
      // Whatever is wrong with it, the caller learns only that it is not valid.
      if (error instanceof Refused) throw error;
      return undefined;
    }
  }

  async #keys({ publicKey, jwksUri }: Issuer): Promise<JWTVerifyGetKey> {
    if (jwksUri === null) {
      const key = await importSPKI(publicKey ?? '', 'RS256');
      return async () => key;
    }
    const keys = this.#remote.get(jwksUri) ?? fetched(jwksUri, this.#clock);
    this.#remote.set(jwksUri, keys);
    return keys;
  }
}

/** The keys at a URL, fetched when they are first wanted and now and then. */
function fetched(uri: string, clock: Clock): JWTVerifyGetKey {
  const remote = createRemoteJWKSet(new URL(uri), { timeoutDuration: fetchMs });
  let hadAtMs = 0;
  return async (header, token) => {
    try {
      const key = await remote(header, token);
      hadAtMs = clock.nowMs();
      return key;
    } catch (error) {
      const unknown = [errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys];
      if (unknown.some((kind) => error instanceof kind)) throw error;
      const last = clock.nowMs() - hadAtMs < staleMs ? remote.jwks() : undefined;
      if (last) return createLocalJWKSet(last)(header, token);
      throw new Refused(503, `The keys of the token's issuer cannot be fetched at the moment.`);
    }
  };
}

/** A token without the claims of the wire could be meant for anybody, unless it names its audience. */
function isForUs(payload: JWTPayload, { audience }: Issuer, tenant: string): boolean {
  const named = payload['tapis/tenant_id'];
  if (audience === null && payload.aud !== undefined) return false;
  if (named === undefined ? audience === null : named !== tenant) return false;
  const type = payload['tapis/token_type'] ?? 'access';
  const account = payload['tapis/account_type'] ?? 'user';
  return type === 'access' && account === 'user';
}

function vouchedBy(payload: JWTPayload, { usernameClaim }: Issuer): Vouched | undefined {
  const username = zUsername.safeParse(payload[usernameClaim]);
  return username.success ? { username: username.data, jti: payload.jti } : undefined;
}
