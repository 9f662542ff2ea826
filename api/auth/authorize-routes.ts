import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { App } from '../app.ts';
import { answers } from '../envelope.ts';
import { Invalid, Refused } from '../errors.ts';
import { loginsPerAddress } from '../traffic-rules.ts';
import { parse } from '../validation.ts';
import type { StoredClient } from './clients.ts';
import { TooManyTries } from './identity.ts';
import type { Identities, Identity } from './identity.ts';
import { loginPage, pageHeaders } from './login-page.ts';
import { originOf } from './origin.ts';
import { acceptForms } from './token-routes.ts';

/** The authorization endpoint (RFC 6749, 3.1): a user logs in, the client gets a code. */

const zAuthorization = z.object({
  client_id: z.string().min(1, 'is empty').max(80, 'is longer than 80'),
  redirect_uri: z.string().min(1, 'is empty').max(2000, 'is longer than 2000'),
  response_type: z.literal('code', 'must be code'),
  state: z.string().max(2000, 'is longer than 2000').optional(),
  code_challenge: z
    .string()
    .regex(/^[\w-]{43}$/, 'must be the base64url of a SHA-256')
    .optional(),
  code_challenge_method: z.literal('S256', 'must be S256').optional(),
});
type Authorization = z.infer<typeof zAuthorization>;

const zLogin = zAuthorization.extend({
  username: z.string().max(128, 'is longer than 128').default(''),
  password: z.string().max(1024, 'is longer than 1024').default(''),
});

const url = '/v3/oauth2/authorize';
const tags = ['authenticator'];
const { '4xx': refused, '5xx': failed } = answers(z.null());
const page = {
  200: { description: 'The page.', content: { 'text/html': { schema: z.string() } } },
  '4xx': refused,
  '5xx': failed,
};

export async function authorizeRoutes(app: App, identities: Identities): Promise<void> {
  app.get(
    url,
    {
      config: { access: 'anybody' },
      schema: {
        operationId: 'authorize',
        tags,
        summary: 'The page on which a user logs in to a client (in a browser)',
        querystring: zAuthorization,
        response: page,
      },
    },
    async (request, reply) => {
      const client = await clientOf(request.query, await identities.at(request));
      return showPage(reply, { client, asked: request.query, username: '', error: undefined });
    },
  );
  await app.register(async (scope) => {
    acceptForms(scope);
    scope.post(
      url,
      { config: { access: 'anybody', rateLimit: loginsPerAddress }, schema: { hide: true } },
      async (request, reply) => {
        const body = parse(zLogin, 'body', request.body);
        return login(request, reply, { body, identity: await identities.at(request) });
      },
    );
  });
}

async function login(
  request: FastifyRequest,
  reply: FastifyReply,
  { body, identity }: { readonly body: z.infer<typeof zLogin>; readonly identity: Identity },
): Promise<FastifyReply> {
  refuseOtherSites(request);
  const { username, password, ...asked } = body;
  const client = await clientOf(asked, identity);
  try {
    const user = await identity.login(username, password);
    if (user.accountType === 'service') throw new Refused(401, 'Services do not log in here.');
    const code = await identity.codes.issue({
      tenant: identity.tenant,
      username: user.username,
      clientId: client.clientId,
      redirectUri: asked.redirect_uri,
      challenge: asked.code_challenge ?? null,
    });
    const target = new URL(asked.redirect_uri);
    target.searchParams.set('code', code);
    if (asked.state !== undefined) target.searchParams.set('state', asked.state);
    // RFC 9207: the client sees that the answer is ours.
    target.searchParams.set('iss', issuerOf(request));
    // 303, so that the browser does not carry the password on.
    return await reply.header('cache-control', 'no-store').redirect(target.href, 303);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error instanceof TooManyTries) void reply.header('retry-after', String(error.waitSeconds));
    void reply.code(error.status);
    return showPage(reply, { client, asked, username, error: error.message });
  }
}

export const issuerOf = (request: FastifyRequest): string => `${originOf(request)}/v3/oauth2`;

/** A form on another site must not log anybody in, least of all as somebody else. */
function refuseOtherSites(request: FastifyRequest): void {
  const { origin } = request.headers;
  if (origin !== undefined && origin !== originOf(request))
    throw new Refused(403, 'Not authorized: this form was sent from another site.');
}

/** Until client and address are known to belong together nothing is sent there. Throws `Invalid`. */
async function clientOf(asked: Authorization, identity: Identity): Promise<StoredClient> {
  const client = await identity.clients.find(identity.tenant, asked.client_id);
  if (!client) throw new Invalid([`querystring, client_id: there is no client ${asked.client_id}`]);
  if (client.callbackUrl !== asked.redirect_uri)
    throw new Invalid(["querystring, redirect_uri: is not the client's callback_url"]);
  if (asked.code_challenge !== undefined && asked.code_challenge_method !== 'S256')
    throw new Invalid(['querystring, code_challenge_method: must be S256']);
  return client;
}

function showPage(
  reply: FastifyReply,
  form: {
    readonly client: StoredClient;
    readonly asked: Authorization;
    readonly username: string;
    readonly error: string | undefined;
  },
): FastifyReply {
  const { client, asked, username, error } = form;
  const hidden = Object.fromEntries(
    Object.entries(asked).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const html = loginPage({
    client: client.displayName || client.clientId,
    owner: client.owner,
    tenant: client.tenant,
    redirectUri: asked.redirect_uri,
    hidden,
    username,
    error,
  });
  return reply.headers(pageHeaders(asked.redirect_uri)).send(html);
}
