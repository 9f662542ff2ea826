import type { FastifyRequest } from 'fastify';
import type { Store } from '#contracts/store.ts';
import { Refused } from '../errors.ts';
import { isRevoked } from './sessions.ts';
import type { Tokens } from './tokens.ts';
import { findUser } from './users.ts';

/** Who calls, as the token says and the users still confirm. */
export interface Caller {
  readonly tenant: string;
  readonly username: string;
  readonly admin: boolean;
}

/** The caller of a request, by `X-Tapis-Token` or `Authorization: Bearer`; else 401. */
export async function callerOf(
  request: FastifyRequest,
  { store, tokens, tenant }: { store: Store; tokens: Tokens; tenant: string },
): Promise<Caller> {
  const token = tokenOf(request);
  if (!token) {
    throw new Refused(
      401,
      'No token: send one in the header X-Tapis-Token (POST /v3/oauth2/tokens).',
    );
  }
  const access = await tokens.verify(token);
  // Read anew each time: taking a role or a token away must not wait for the token to expire.
  const [user, revoked] = access
    ? await Promise.all([
        findUser(store, tenant, access.username),
        access.jti !== undefined && isRevoked(store, access.jti),
      ])
    : [];
  if (!user || revoked)
    throw new Refused(401, 'Invalid Tapis token: it is malformed, forged, expired or revoked.');
  return { tenant, username: user.username, admin: user.admin };
}

function tokenOf({ headers }: FastifyRequest): string | undefined {
  const token = headers['x-tapis-token'];
  if (typeof token === 'string' && token !== '') return token;
  return /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1];
}
