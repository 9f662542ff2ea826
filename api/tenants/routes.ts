import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Issuer, Tenant } from '#contracts/tenant.ts';
import { actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import type { Identities } from '../auth/identity.ts';
import { originOf } from '../auth/origin.ts';
import { siteId } from '../auth/tokens.ts';
import type { UserAdministration } from '../auth/user-administration.ts';
import { bodyBytesMax } from '../body-limits.ts';
import { answers, success } from '../envelope.ts';
import { timestamp } from '../times.ts';
import type { WireIssuer, WireTenant } from './schemas.ts';
import { zNewTenant, zTenant, zTenantInFull, zTenantSettings } from './schemas.ts';
import type { Tenants, TenantSettings } from './tenants.ts';

const url = '/v3/tenants';
const one = `${url}/:tenant_id`;
const tags = ['tenants'];
const params = z.object({ tenant_id: z.string() });
const open = { access: 'anybody' } as const; // asked before there is a token

export interface TenantPeople {
  readonly tenants: Tenants;
  readonly identities: Identities;
  readonly people: UserAdministration;
  readonly publicHttpsPort: number;
}

/** Where a client's library finds the tenants and how to verify their tokens, and who makes them. */
export function tenantRoutes(app: App, parts: TenantPeople): void {
  openRoutes(app, parts);
  settingsRoutes(app, parts);
  newTenantRoute(app, parts);
}

function openRoutes(app: App, parts: TenantPeople): void {
  app.get(
    url,
    {
      config: open,
      schema: {
        operationId: 'list_tenants',
        tags,
        summary: 'The tenants served here',
        response: answers(z.array(zTenant)),
      },
    },
    async (request) => {
      const all = await parts.tenants.list();
      const shown = await Promise.all(all.map((tenant) => present(tenant, request, parts)));
      return success(shown, 'Tenants retrieved successfully.');
    },
  );
  app.get(
    one,
    {
      config: open,
      schema: {
        operationId: 'get_tenant',
        tags,
        summary: 'One tenant',
        params,
        response: answers(zTenant),
      },
    },
    async (request) => {
      const tenant = await parts.tenants.get(request.params.tenant_id);
      return success(await present(tenant, request, parts), 'Tenant retrieved successfully.');
    },
  );
}

function settingsRoutes(app: App, parts: TenantPeople): void {
  app.get(
    `${one}/settings`,
    {
      config: { access: 'site admin' },
      schema: {
        operationId: 'get_tenant_settings',
        tags,
        summary: 'One tenant, with whom it lets in',
        params,
        response: answers(zTenantInFull),
      },
    },
    async (request) => {
      const tenant = await parts.tenants.get(request.params.tenant_id);
      return success(await presentInFull(tenant, request, parts), 'Tenant retrieved successfully.');
    },
  );
  app.put(
    one,
    {
      bodyLimit: bodyBytesMax.tenant,
      config: { access: 'site admin' },
      schema: {
        operationId: 'update_tenant',
        tags,
        summary: 'Change a tenant: whom it lets in, whether it is active',
        params,
        body: zTenantSettings,
        response: answers(zTenantInFull),
      },
    },
    async (request) => {
      const { tenant_id: id } = request.params;
      const { admin, ...body } = request.body;
      const tenant = await parts.tenants.update(id, settingsOf(body));
      if (admin) await addAdmin(id, admin, parts);
      return success(await presentInFull(tenant, request, parts), 'Tenant updated successfully.');
    },
  );
}

function newTenantRoute(app: App, parts: TenantPeople): void {
  app.post(
    url,
    {
      bodyLimit: bodyBytesMax.tenant,
      config: { access: 'site admin' },
      schema: {
        operationId: 'create_tenant',
        tags,
        summary: 'Make a tenant: its API answers at <tenant_id>.<domain>, its pods below that',
        body: zNewTenant,
        response: answers(zTenantInFull),
      },
    },
    async (request) => {
      const { tenant_id: id, admin, ...body } = request.body;
      const settings = { ...unsaid, ...settingsOf(body) };
      const tenant = await parts.tenants.add(id, settings, actingOf(request).username);
      if (admin) await addAdmin(id, admin, parts);
      return success(await presentInFull(tenant, request, parts), 'Tenant created successfully.');
    },
  );
}

/** The one way into a tenant that has nobody in charge. Throws `Refused` 409 when the name is taken. */
async function addAdmin(
  tenant: string,
  { username, password }: { readonly username: string; readonly password: string },
  { people }: TenantPeople,
): Promise<void> {
  await people.add(tenant, { username, accountType: 'user' }, { password, admin: true });
}

const unsaid: TenantSettings = {
  description: '',
  active: true,
  issuers: [],
  admins: [],
  allowedUsers: null,
};

function settingsOf(body: z.infer<typeof zTenantSettings>): Partial<TenantSettings> {
  const { description, status, issuers, admins } = body;
  const { allowed_users: allowedUsers, certificate_mode: mode } = body;
  return {
    ...(description === undefined ? {} : { description }),
    ...(status === undefined ? {} : { active: status === 'active' }),
    ...(issuers === undefined ? {} : { issuers: issuers.map(storedIssuer) }),
    ...(admins === undefined ? {} : { admins }),
    ...(allowedUsers === undefined ? {} : { allowedUsers }),
    ...(mode === undefined ? {} : { certificateMode: mode ?? undefined }),
  };
}

const storedIssuer = (issuer: WireIssuer): Issuer => ({
  issuer: issuer.issuer,
  jwksUri: issuer.jwks_uri ?? null,
  publicKey: issuer.public_key ?? null,
  audience: issuer.audience ?? null,
  usernameClaim: issuer.username_claim,
});

const presentIssuer = (issuer: Issuer): WireIssuer => ({
  issuer: issuer.issuer,
  ...(issuer.jwksUri === null ? {} : { jwks_uri: issuer.jwksUri }),
  ...(issuer.publicKey === null ? {} : { public_key: issuer.publicKey }),
  ...(issuer.audience === null ? {} : { audience: issuer.audience }),
  username_claim: issuer.usernameClaim,
});

async function presentInFull(tenant: Tenant, request: FastifyRequest, parts: TenantPeople) {
  return {
    ...(await present(tenant, request, parts)),
    issuers: tenant.issuers.map(presentIssuer),
    admins: tenant.admins,
    allowed_users: tenant.allowedUsers,
    certificate_mode: tenant.certificateMode ?? null,
  };
}

async function present(
  tenant: Tenant,
  request: FastifyRequest,
  { tenants, identities, publicHttpsPort }: TenantPeople,
): Promise<WireTenant> {
  const { tenantId } = tenant;
  const { tokens } = await identities.of(tenantId);
  const asked = await tenants.at(request.hostname);
  const port = publicHttpsPort === 443 ? '' : `:${publicHttpsPort}`;
  // Clients pick the tenant whose base_url is the URL they were given, compared as strings.
  const base =
    asked.tenantId === tenantId
      ? originOf(request)
      : `https://${tenants.domainOf(tenantId)}${port}`;
  return {
    tenant_id: tenantId,
    site_id: siteId,
    base_url: base,
    public_key: tokens.publicKey,
    status: tenant.active ? 'active' : 'inactive',
    description: tenant.description,
    token_service: `${base}/v3/tokens`,
    authenticator: `${base}/v3/oauth2`,
    created_by: tenant.createdBy,
    create_time: timestamp(tenant.createdAtMs),
    last_update_time: timestamp(tenant.updatedAtMs),
  };
}
