import type { CryptoKey, JWTPayload } from 'jose';
import {
  decodeJwt,
  exportPKCS8,
  exportSPKI,
  generateKeyPair,
  importPKCS8,
  importSPKI,
  jwtVerify,
  SignJWT,
} from 'jose';
import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { Random } from '#contracts/random.ts';
import type { Sealer } from '#contracts/sealer.ts';
import { zSealed } from '#contracts/sealer.ts';
import type { Store } from '#contracts/store.ts';
import { collection, WriteConflict } from '#contracts/store.ts';
import type { AccountType } from './names.ts';
import { zAccountType } from './names.ts';

/** RS256 access tokens (RFC 7519) with the claims that clients of the wire read. */

const algorithm = 'RS256';
/** How long an access token is good, unless somebody asks for less or more. */
export const accessTokenSeconds = 14_400;
/** Our name among the sites of the wire: services say in their tokens whom they talk to. */
export const siteId = 'podgate';

const zSigningKey = z.strictObject({ publicKey: z.string(), privateKey: zSealed });
const sealedAs = (tenant: string): string => `signing-key/${tenant}`;

interface TokenPorts {
  readonly store: Store;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly random: Random;
}

export const zIssuedToken = z.strictObject({
  access_token: z.string(),
  expires_at: z.string(),
  expires_in: z.int().describe('Seconds.'),
  jti: z.string(),
});
export type IssuedToken = z.infer<typeof zIssuedToken>;

/** Whom a token is for. */
export interface Subject {
  readonly username: string;
  readonly accountType: AccountType;
}

/** A valid access token. */
interface Access extends Subject {
  /** Absent in none of ours. */
  readonly jti: string | undefined;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

interface Refresh extends Subject {
  /** What it goes on with. */
  readonly session: string;
}

interface Terms {
  readonly issuer: string;
  readonly seconds: number;
}

export interface Tokens {
  /** The tenant's public key, PEM: anybody may verify our tokens. */
  readonly publicKey: string;
  issue(subject: Subject, terms: Terms): Promise<IssuedToken>;
  issueRefresh(refresh: Refresh, terms: Terms): Promise<IssuedToken>;
  /** What an access token says, or undefined when it is not valid now. */
  verify(token: string): Promise<Access | undefined>;
  /** What a refresh token says, or undefined when it is not valid now. */
  readRefresh(
    token: string,
  ): Promise<(Refresh & { readonly jti: string; readonly issuedAtMs: number }) | undefined>;
}

/** What a token says of itself, not verified: it may be a lie. Undefined: it is no token. */
export function claimsOf(token: string): JWTPayload | undefined {
  try {
    return decodeJwt(token);
  } catch {
    return undefined;
  }
}

/** Opens the tenant's signing key; the first call in a store's life makes it. */
export async function openTokens(ports: TokenPorts, tenant: string): Promise<Tokens> {
  const pair = await signingKey(ports, tenant);
  const privateKey = await importPKCS8(pair.privateKey, algorithm);
  const publicKey = await importSPKI(pair.publicKey, algorithm);
  const issue = issuing(ports, privateKey, tenant);
  const read = reading(ports.clock, publicKey, tenant);
  return {
    publicKey: pair.publicKey,
    issue: (subject, terms) => {
      const service = subject.accountType === 'service';
      const more = service ? { 'tapis/target_site': siteId } : {};
      return issue({ ...subject, ...terms, type: 'access', more });
    },
    issueRefresh: ({ session, ...subject }, terms) =>
      issue({ ...subject, ...terms, type: 'refresh', more: { [sessionClaim]: session } }),
    verify: (token) => read(token, 'access'),
    readRefresh: async (token) => {
      const payload = await read(token, 'refresh');
      const session = payload?.claims[sessionClaim];
      if (!payload?.jti || typeof session !== 'string') return undefined;
      const { username, accountType, jti, issuedAtMs } = payload;
      return { username, accountType, session, jti, issuedAtMs };
    },
  };
}

const sessionClaim = 'podgate/session';

interface Wanted extends Subject, Terms {
  readonly type: 'access' | 'refresh';
  readonly more: Readonly<Record<string, string>>;
}

const issuing =
  ({ clock, random }: TokenPorts, key: CryptoKey, tenant: string) =>
  async ({ username, accountType, issuer, type, seconds, more }: Wanted): Promise<IssuedToken> => {
    const issuedAt = Math.floor(clock.nowMs() / 1000);
    const expires = issuedAt + seconds;
    const jti = random.bytes(16).toString('hex');
    const token = await new SignJWT({
      'tapis/tenant_id': tenant,
      'tapis/token_type': type,
      'tapis/delegation': false,
      'tapis/delegation_sub': null,
      'tapis/username': username,
      'tapis/account_type': accountType,
      ...more,
    })
      .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
      .setJti(jti)
      .setIssuer(issuer)
      .setSubject(`${username}@${tenant}`)
      .setIssuedAt(issuedAt)
      .setExpirationTime(expires)
      .sign(key);
    const expiresAt = new Date(expires * 1000).toISOString().replace('Z', '+00:00');
    return { access_token: token, expires_at: expiresAt, expires_in: seconds, jti };
  };

const reading =
  (clock: Clock, key: CryptoKey, tenant: string) => async (token: string, type: Wanted['type']) => {
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: [algorithm],
        currentDate: new Date(clock.nowMs()),
        requiredClaims: ['exp'],
      });
      const username = payload['tapis/username'];
      const ours = payload['tapis/tenant_id'] === tenant && payload['tapis/token_type'] === type;
      const accountType = zAccountType.safeParse(payload['tapis/account_type']);
      if (!ours || typeof username !== 'string' || !accountType.success) return undefined;
      return {
        username,
        accountType: accountType.data,
        jti: payload.jti,
        issuedAtMs: (payload.iat ?? 0) * 1000,
        expiresAtMs: (payload.exp ?? 0) * 1000,
        claims: payload,
      };
    } catch {
      // Whatever is wrong with it, the caller learns only that it is not valid.
      return undefined;
    }
  };

async function signingKey(
  ports: TokenPorts,
  tenant: string,
): Promise<{ publicKey: string; privateKey: string }> {
  const { store, sealer } = ports;
  const keys = collection(store, 'signing-keys', zSigningKey);
  const stored = await keys.get(tenant);
  if (stored) {
    const { publicKey, privateKey } = stored.value;
    return { publicKey, privateKey: sealer.open(privateKey, sealedAs(tenant)) };
  }
  const pair = await generateKeyPair(algorithm, { modulusLength: 2048, extractable: true });
  const publicKey = await exportSPKI(pair.publicKey);
  const privateKey = await exportPKCS8(pair.privateKey);
  try {
    const sealed = sealer.seal(privateKey, sealedAs(tenant));
    await keys.put(tenant, { publicKey, privateKey: sealed }, 'absent');
    return { publicKey, privateKey };
  } catch (error) {
    if (!(error instanceof WriteConflict)) throw error;
    return signingKey(ports, tenant);
  }
}
