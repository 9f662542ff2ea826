import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { App } from '../app.ts';
import { answers, success } from '../envelope.ts';
import { Refused } from '../errors.ts';
import type { Identities, Identity } from './identity.ts';
import { tokenIssuer } from './origin.ts';
import { loginsPerAddress } from '../traffic-rules.ts';
import { zIssuedToken } from './tokens.ts';

/** The token endpoint (RFC 6749, 3.2) and revocation (RFC 7009), as JSON or as a form. */

const text = (max: number): z.ZodString =>
  z.string().min(1, 'is empty').max(max, `is longer than ${max}`);

const credentials = {
  client_id: text(80).optional(),
  client_key: text(128).optional(),
  client_secret: text(128).optional().describe('The name that RFC 6749 has for client_key.'),
};

const zTokenRequest = z.discriminatedUnion(
  'grant_type',
  [
    z.strictObject({
      grant_type: z.literal('password'),
      username: text(128),
      password: text(1024),
      ...credentials,
    }),
    z.strictObject({
      grant_type: z.literal('refresh_token'),
      refresh_token: text(8192),
      ...credentials,
    }),
    z.strictObject({
      grant_type: z.literal('authorization_code'),
      code: text(128),
      redirect_uri: text(2000),
      code_verifier: text(128).optional(),
      ...credentials,
    }),
  ],
  'must be password, refresh_token or authorization_code',
);
type TokenRequest = z.infer<typeof zTokenRequest>;

const { access_token: refreshText, ...issued } = zIssuedToken.shape;
export const zTokens = z.strictObject({
  access_token: zIssuedToken,
  refresh_token: z.strictObject({ refresh_token: refreshText, ...issued }),
});

export async function tokenRoutes(app: App, identities: Identities): Promise<void> {
  await app.register(async (scope) => {
    acceptForms(scope);
    tokenRoute(scope, identities);
    revokeRoute(scope, identities);
  });
}

/** RFC 6749 clients send forms. */
export function acceptForms(app: App): void {
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  );
}

function tokenRoute(app: App, identities: Identities): void {
  app.post(
    '/v3/oauth2/tokens',
    {
      config: { access: 'anybody', rateLimit: loginsPerAddress },
      schema: {
        operationId: 'create_token',
        tags: ['authenticator'],
        summary: 'Tokens for a password, a refresh token or an authorization code (also as a form)',
        body: zTokenRequest,
        response: answers(zTokens),
      },
    },
    async (request, reply) => {
      const identity = await identities.at(request);
      const issuer = tokenIssuer(request);
      const clientId = await clientOf(request, request.body, identity);
      const pair = await grant(request.body, { issuer, clientId }, identity);
      void reply.header('cache-control', 'no-store');
      return success(pair, 'Token created successfully.');
    },
  );
}

async function grant(
  body: TokenRequest,
  terms: { readonly issuer: string; readonly clientId: string | null },
  { tenant, login, sessions, codes }: Identity,
) {
  if (body.grant_type === 'refresh_token') return sessions.refresh(body.refresh_token, terms);
  if (body.grant_type === 'password') {
    const user = await login(body.username, body.password);
    if (user.accountType === 'service')
      throw new Refused(401, 'This is a service: services get tokens by POST /v3/tokens.');
    return pairOf(await sessions.open(user, terms));
  }
  const { clientId } = terms;
  if (clientId === null)
    throw new Refused(401, 'The client has to say who it is: client_id and client_key, or Basic.');
  const redemption = {
    tenant,
    clientId,
    redirectUri: body.redirect_uri,
    verifier: body.code_verifier,
  };
  const opened = await codes.redeem(body.code, redemption, {
    open: (username) => sessions.open({ username, accountType: 'user' }, terms),
    end: (session) => sessions.end(session),
  });
  return pairOf(opened);
}

export const pairOf = ({ access_token, refresh_token }: z.infer<typeof zTokens>) => ({
  access_token,
  refresh_token,
});

/** The client that makes the request, by Basic or in the body; null when it does not say. */
async function clientOf(
  request: FastifyRequest,
  body: TokenRequest,
  { clients, tenant }: Identity,
): Promise<string | null> {
  const inBody = body.client_id === undefined ? undefined : [body.client_id, keyIn(body)];
  const [id, key] = basicOf(request.headers.authorization) ?? inBody ?? [];
  if (id === undefined) return null;
  return (await clients.authenticate(tenant, id, key ?? '')).clientId;
}

const keyIn = (body: TokenRequest): string => body.client_key ?? body.client_secret ?? '';

/** RFC 7617. */
export function basicOf(header: string | undefined): [id: string, key: string] | undefined {
  const [, encoded] = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(header ?? '') ?? [];
  if (encoded === undefined) return undefined;
  const [id = '', ...key] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  return [id, key.join(':')];
}

function revokeRoute(app: App, identities: Identities): void {
  app.post(
    '/v3/oauth2/tokens/revoke',
    {
      config: { access: 'anybody' },
      schema: {
        operationId: 'revoke_token',
        tags: ['authenticator'],
        summary: 'Make an access token, or a refresh token with all that came of it, invalid',
        body: z.strictObject({
          token: text(8192),
          token_type_hint: z.string().max(64, 'is longer than 64').optional(),
        }),
        response: answers(z.literal('')),
      },
    },
    async (request) => {
      const { token } = request.body;
      const { sessions } = await identities.ofToken(token, request);
      await sessions.revoke(token);
      // RFC 7009 2.2: one that was not valid is as good as revoked.
      return success('' as const, 'Token is revoked.');
    },
  );
}
