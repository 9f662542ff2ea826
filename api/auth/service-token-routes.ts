import { z } from 'zod';
import type { App } from '../app.ts';
import { answers, success } from '../envelope.ts';
import { Invalid, Refused } from '../errors.ts';
import { loginsPerAddress } from '../traffic-rules.ts';
import type { Identities } from './identity.ts';
import { tokenIssuer } from './origin.ts';
import { basicOf, pairOf, zTokens } from './token-routes.ts';
import { siteId } from './tokens.ts';

/** Tokens for services: programs that act for users, with an account and a password of their own. */

const daySeconds = 24 * 3600;
const seconds = (max: number): z.ZodInt =>
  z
    .int('must be a whole number of seconds')
    .min(60, 'must be at least 60')
    .max(max, `must be at most ${max}`);

const zServiceToken = z
  .strictObject({
    account_type: z.literal('service', 'must be service: users log in by POST /v3/oauth2/tokens'),
    token_tenant_id: z.string().max(63, 'is longer than 63'),
    token_username: z.string().max(128, 'is longer than 128'),
    target_site_id: z.literal(siteId, `must be ${siteId}, the one site`).optional(),
    access_token_ttl: seconds(30 * daySeconds).default(daySeconds),
    refresh_token_ttl: seconds(90 * daySeconds).default(14 * daySeconds),
    generate_refresh_token: z.boolean().default(true),
  })
  .meta({
    examples: [{ account_type: 'service', token_tenant_id: 'default', token_username: 'jobs' }],
  });

const zServiceTokens = zTokens.partial({ refresh_token: true });

export function serviceTokenRoutes(app: App, identities: Identities): void {
  createRoute(app, identities);
  refreshRoute(app, identities);
}

function createRoute(app: App, identities: Identities): void {
  app.post(
    '/v3/tokens',
    {
      config: { access: 'anybody', rateLimit: loginsPerAddress },
      schema: {
        operationId: 'create_service_token',
        tags: ['tokens'],
        summary: 'Tokens for a service, which says by Basic who it is',
        body: zServiceToken,
        response: answers(zServiceTokens),
      },
    },
    async (request, reply) => {
      const { body } = request;
      const [name, password] = basicOf(request.headers.authorization) ?? [];
      if (name === undefined || password === undefined)
        throw new Refused(
          401,
          'The service has to say who it is: Basic, with its name and password.',
        );
      const identity = await identities.named(body.token_tenant_id);
      const service = await identity.login(name, password);
      if (service.accountType !== 'service')
        throw new Refused(
          403,
          'Not authorized: this is a user, who logs in by POST /v3/oauth2/tokens.',
        );
      if (body.token_username !== service.username)
        throw new Invalid([`body, token_username: must be ${service.username}, who asks`]);
      const terms = {
        issuer: tokenIssuer(request),
        clientId: null,
        accessFor: body.access_token_ttl,
        refreshFor: body.refresh_token_ttl,
      };
      const { access_token, refresh_token } = pairOf(await identity.sessions.open(service, terms));
      void reply.header('cache-control', 'no-store');
      const result = body.generate_refresh_token
        ? { access_token, refresh_token }
        : { access_token };
      return success(result, 'Token generation successful.');
    },
  );
}

function refreshRoute(app: App, identities: Identities): void {
  app.put(
    '/v3/tokens',
    {
      config: { access: 'anybody' },
      schema: {
        operationId: 'refresh_service_token',
        tags: ['tokens'],
        summary: 'New tokens for a refresh token, which is spent by this',
        body: z.strictObject({ refresh_token: z.string().max(8192, 'is longer than 8192') }),
        response: answers(zTokens),
      },
    },
    async (request, reply) => {
      const { refresh_token: token } = request.body;
      const identity = await identities.ofToken(token, request);
      const pair = await identity.sessions.refresh(token, {
        issuer: tokenIssuer(request),
        clientId: null,
      });
      void reply.header('cache-control', 'no-store');
      return success(pair, 'Token generation successful.');
    },
  );
}
