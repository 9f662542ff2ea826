import type { FastifyRequest } from 'fastify';
import type { Store } from '#contracts/store.ts';
import { Refused } from '../errors.ts';
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
  const username = await tokens.verify(token);
  // The role is read anew: taking it away must not wait for the token to expire.
  const user = username === undefined ? undefined : await findUser(store, tenant, username);
  if (!user) throw new Refused(401, 'Invalid Tapis token: it is malformed, forged or expired.');
  return { tenant, username: user.username, admin: user.admin };
}

function tokenOf({ headers }: FastifyRequest): string | undefined {
  const token = headers['x-tapis-token'];
  if (typeof token === 'string' && token !== '') return token;
  return /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1];
}
