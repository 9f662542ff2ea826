import { z } from 'zod';
import type { App } from '../app.ts';
import { originOf } from '../auth/origin.ts';
import type { Tokens } from '../auth/tokens.ts';
import { answers, success } from '../envelope.ts';
import type { ApiSettings } from '../ports.ts';

const siteId = 'podgate';

const zSite = z.strictObject({
  site_id: z.string(),
  primary: z.boolean(),
  base_url: z.string(),
  services: z.array(z.string()),
});

const zTenant = z.strictObject({
  tenant_id: z.string(),
  site_id: z.string(),
  base_url: z.string().describe('The origin of this request.'),
  public_key: z.string().describe('PEM: verifies the tokens of the tenant.'),
  status: z.string(),
  description: z.string(),
  token_service: z.string(),
  authenticator: z.string(),
});

const open = { config: { access: 'anybody' } } as const; // asked before there is a token

/** What a client asks before it has a token: sites, tenants, health, the CA to trust. */
export function siteRoutes(app: App, settings: ApiSettings, tokens: Tokens): void {
  tenantRoutes(app, settings, tokens);
  plainRoutes(app, settings);
}

/** Where a client's library finds the tenants and how to verify their tokens. */
function tenantRoutes(app: App, settings: ApiSettings, tokens: Tokens): void {
  app.get(
    '/v3/sites',
    {
      ...open,
      schema: {
        operationId: 'list_sites',
        tags: ['tenants'],
        summary: 'The one site',
        response: answers(z.array(zSite)),
      },
    },
    async (request) =>
      success(
        [{ site_id: siteId, primary: true, base_url: originOf(request), services: ['pods'] }],
        'Sites retrieved successfully.',
      ),
  );
  app.get(
    '/v3/tenants',
    {
      ...open,
      schema: {
        operationId: 'list_tenants',
        tags: ['tenants'],
        summary: 'The tenants served here',
        response: answers(z.array(zTenant)),
      },
    },
    async (request) => {
      const tenant = {
        tenant_id: settings.tenant,
        site_id: siteId,
        // Clients pick the tenant whose base_url is the URL they were given, compared as strings.
        base_url: originOf(request),
        public_key: tokens.publicKey,
        status: 'active',
        description: '',
        token_service: `${originOf(request)}/v3/tokens`,
        authenticator: `${originOf(request)}/v3/oauth2`,
      };
      return success([tenant], 'Tenants retrieved successfully.');
    },
  );
}

function plainRoutes(app: App, settings: ApiSettings): void {
  app.get(
    '/v3/healthcheck',
    {
      ...open,
      schema: {
        operationId: 'healthcheck',
        tags: ['misc'],
        summary: 'Whether the API answers',
        response: answers(z.string()),
      },
    },
    async () => success('The API answers.', 'The API answers.'),
  );
  app.get('/ca.pem', { ...open, schema: { hide: true } }, async (_request, reply) =>
    reply.header('content-type', 'application/x-pem-file').send(settings.rootPem),
  );
  app.get('/', { ...open, schema: { hide: true } }, async (_request, reply) =>
    reply.redirect('/v3/docs'),
  );
}
