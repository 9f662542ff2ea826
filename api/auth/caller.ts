import type { FastifyRequest } from 'fastify';
import type { Store } from '#contracts/store.ts';
import type { Tenant } from '#contracts/tenant.ts';
import { Refused } from '../errors.ts';
import type { Tenants } from '../tenants/tenants.ts';
import type { Identities } from './identity.ts';
import type { Issuers } from './issuers.ts';
import { onBehalf } from './on-behalf.ts';
import { isRevoked } from './sessions.ts';
import { claimsOf } from './tokens.ts';
import { findUser, isGoodFor } from './users.ts';

/** Somebody, as a token says and the users still confirm. */
export interface Person {
  readonly tenant: string;
  readonly username: string;
  /** May do everything in the tenant. */
  readonly admin: boolean;
}

/** Who calls. */
export interface Caller extends Person {
  /** An admin of the first tenant: decides for all tenants, and for the machine. */
  readonly siteAdmin: boolean;
  /** The service that calls for them, when one does. */
  readonly service?: string;
}

export interface Credentials {
  readonly store: Store;
  readonly tenants: Tenants;
  readonly identities: Identities;
  readonly issuers: Issuers;
}

/**
 * The caller of a request, by `X-Tapis-Token` or `Authorization: Bearer`. Throws `Refused`: 401
 * without a valid token, 403 where the token is of another tenant than the host of the request.
 */
export async function callerOf(request: FastifyRequest, credentials: Credentials): Promise<Caller> {
  const person = await personOf(request, credentials);
  return { ...person, siteAdmin: person.admin && person.tenant === credentials.tenants.first };
}

async function personOf(
  request: FastifyRequest,
  credentials: Credentials,
): Promise<Omit<Caller, 'siteAdmin'>> {
  const token = tokenOf(request);
  if (!token) {
    throw new Refused(
      401,
      'No token: send one in the header X-Tapis-Token (POST /v3/oauth2/tokens).',
    );
  }
  const { tenants } = credentials;
  const [tenant, addressed] = await Promise.all([
    tenantOf(token, request, tenants),
    tenants.withDomain(request.hostname),
  ]);
  const bearer = tenant && (await bearerOf(token, tenant, credentials));
  if (!bearer) throw invalidToken();
  const { isService, ...caller } = bearer;
  if (isService) return onBehalf(request, caller, credentials);
  if (forOthers.some((name) => request.headers[name] !== undefined))
    throw new Refused(400, 'Invalid request; cannot set OBO headers with a user token.');
  if (addressed && addressed.tenantId !== caller.tenant) {
    throw new Refused(
      403,
      `The tenant_id claim in the token, ${caller.tenant} does not match the URL tenant, ${addressed.tenantId}.`,
    );
  }
  return caller;
}

const forOthers = ['x-tapis-user', 'x-tapis-tenant'];

const invalidToken = (): Refused =>
  new Refused(401, 'Invalid Tapis token: it is malformed, forged, expired or revoked.');

function tokenOf({ headers }: FastifyRequest): string | undefined {
  const token = headers['x-tapis-token'];
  if (typeof token === 'string' && token !== '') return token;
  return /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1];
}

/** Which tenant's keys it has to be verified with; nothing of it is believed yet. */
async function tenantOf(
  token: string,
  request: FastifyRequest,
  tenants: Tenants,
): Promise<Tenant | undefined> {
  const named = claimsOf(token)?.['tapis/tenant_id'];
  const tenant =
    typeof named === 'string' ? await tenants.find(named) : await tenants.at(request.hostname);
  return tenant?.active ? tenant : undefined;
}

/** Who holds a token. */
interface Bearer extends Person {
  readonly isService: boolean;
}

async function bearerOf(
  token: string,
  tenant: Tenant,
  credentials: Credentials,
): Promise<Bearer | undefined> {
  const issuer = tenant.issuers.find((one) => one.issuer === claimsOf(token)?.['iss']);
  if (!issuer) return ownBearer(token, tenant.tenantId, credentials);
  const vouched = await credentials.issuers.verify(token, issuer, tenant.tenantId);
  if (!vouched) return undefined;
  return foreignBearer(vouched.username, tenant, credentials.store);
}

async function ownBearer(
  token: string,
  tenant: string,
  { store, identities }: Credentials,
): Promise<Bearer | undefined> {
  const { tokens } = await identities.of(tenant);
  const access = await tokens.verify(token);
  if (!access) return undefined;
  // Read anew each time: taking a role or a token away must not wait for the token to expire.
  const [user, revoked] = await Promise.all([
    findUser(store, tenant, access.username),
    access.jti !== undefined && isRevoked(store, access.jti),
  ]);
  if (!user || revoked || !isGoodFor(user, access.issuedAtMs)) return undefined;
  if (user.accountType !== access.accountType) return undefined;
  const isService = user.accountType === 'service';
  return { tenant, username: user.username, admin: user.admin, isService };
}

/** Somebody whom another issuer vouches for: as far as the tenant lets such people in. */
async function foreignBearer(username: string, tenant: Tenant, store: Store): Promise<Bearer> {
  const { tenantId, admins, allowedUsers } = tenant;
  if (await findUser(store, tenantId, username)) {
    // Two people of one name must not have each other's pods.
    throw new Refused(403, `Not authorized: ${username} is a user of this site itself.`);
  }
  const admin = admins.includes(username);
  if (!admin && allowedUsers !== null && !allowedUsers.includes(username))
    throw new Refused(403, `Not authorized: ${username} is not on the list of tenant ${tenantId}.`);
  return { tenant: tenantId, username, admin, isService: false };
}
