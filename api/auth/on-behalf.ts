import type { FastifyRequest } from 'fastify';
import { Refused } from '../errors.ts';
import type { Caller, Credentials, Person } from './caller.ts';
import { zUsername } from './names.ts';
import { findUser } from './users.ts';

/**
 * Whom a service calls for: the user whom `X-Tapis-User` and `X-Tapis-Tenant` name, with what that
 * user may do and no more; without both headers itself. Throws `Refused`.
 */
export async function onBehalf(
  request: FastifyRequest,
  service: Person,
  credentials: Credentials,
): Promise<Omit<Caller, 'siteAdmin'>> {
  const username = request.headers['x-tapis-user'];
  const tenantId = request.headers['x-tapis-tenant'];
  if (username === undefined && tenantId === undefined) return service;
  if (typeof username !== 'string' || typeof tenantId !== 'string')
    throw new Refused(
      400,
      'Invalid request; set both X-Tapis-User and X-Tapis-Tenant, or neither.',
    );
  refuseOtherTenants(service, tenantId, credentials);
  const admin = await roleOf(username, tenantId, credentials);
  if (admin === undefined) {
    const message = `Invalid request; X-Tapis-User: there is no user ${username} in the tenant.`;
    throw new Refused(400, message);
  }
  return { tenant: tenantId, username, admin, service: `${service.username}@${service.tenant}` };
}

/** Services of the first tenant are the site's. */
function refuseOtherTenants({ tenant }: Person, wanted: string, { tenants }: Credentials): void {
  if (tenant === wanted || tenant === tenants.first) return;
  throw new Refused(403, `Not authorized: services of ${tenant} act for its own users alone.`);
}

/** Whether the user is an admin; undefined: there is no such user. */
async function roleOf(
  username: string,
  tenantId: string,
  { store, tenants }: Credentials,
): Promise<boolean | undefined> {
  if (!zUsername.safeParse(username).success) return undefined;
  const tenant = await tenants.find(tenantId);
  if (!tenant?.active) return undefined;
  const own = await findUser(store, tenantId, username);
  if (own) return own.disabled ? undefined : own.admin;
  // Users of other issuers have no record; the tenant says which of them it knows.
  const { issuers, admins, allowedUsers } = tenant;
  if (issuers.length === 0) return undefined;
  if (admins.includes(username)) return true;
  return allowedUsers === null || allowedUsers.includes(username) ? false : undefined;
}
