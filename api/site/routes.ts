import { z } from 'zod';
import { rootId, signers } from '#contracts/authority.ts';
import type { Store } from '#contracts/store.ts';
import type { App } from '../app.ts';
import { originOf } from '../auth/origin.ts';
import { siteId } from '../auth/tokens.ts';
import { answers, success } from '../envelope.ts';
import { Refused } from '../errors.ts';

const zSite = z.strictObject({
  site_id: z.string(),
  primary: z.boolean(),
  base_url: z.string(),
  services: z.array(z.string()),
});

const open = { config: { access: 'anybody' } } as const; // asked before there is a token

/** What a client asks before it has a token: the site, health, the CA to trust. */
export function siteRoutes(app: App, store: Store, domain: string): void {
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
  app.get('/ca.pem', { ...open, schema: { hide: true } }, async (_request, reply) => {
    const root = await signers(store).get(rootId(domain));
    if (!root) throw new Refused(404, 'There is no certificate authority of our own here.');
    const pem = `${root.value.certificate.trimEnd()}\n`;
    return reply.header('content-type', 'application/x-pem-file').send(pem);
  });
  app.get('/', { ...open, schema: { hide: true } }, async (_request, reply) =>
    reply.redirect('/v3/docs'),
  );
}
