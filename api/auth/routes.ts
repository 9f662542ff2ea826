import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import { answers, success } from '../envelope.ts';
import { Refused } from '../errors.ts';
import type { ApiPorts, ApiSettings } from '../ports.ts';
import { LoginThrottle } from './throttle.ts';
import type { Tokens } from './tokens.ts';
import { zIssuedToken } from './tokens.ts';
import { authenticate, findUser } from './users.ts';

const zTokenRequest = z.strictObject({
  grant_type: z.literal('password', 'must be password'),
  username: z.string().min(1, 'is empty').max(128, 'is longer than 128'),
  password: z.string().min(1, 'is empty').max(1024, 'is longer than 1024'),
});

const zProfile = z.strictObject({
  username: z.string(),
  email: z.string(),
  given_name: z.string(),
  last_name: z.string(),
  dn: z.string(),
  create_time: z.null(),
});

/** Where the client found us: what tenants and tokens name as their base. */
export const originOf = (request: FastifyRequest): string =>
  `${request.protocol}://${request.host}`;

interface Terms {
  readonly settings: ApiSettings;
  readonly tokens: Tokens;
}

export async function authRoutes(app: App, ports: ApiPorts, terms: Terms): Promise<void> {
  await app.register(async (scope) => {
    acceptForms(scope);
    tokenRoute(scope, ports, terms);
  });
  profileRoutes(app, ports, terms);
}

/** RFC 6749 clients send forms to the token endpoint, and to no other. */
function acceptForms(app: App): void {
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  );
}

function tokenRoute(app: App, ports: ApiPorts, { settings, tokens }: Terms): void {
  const { tenant } = settings;
  const throttle = new LoginThrottle(ports.clock);

  app.post(
    '/v3/oauth2/tokens',
    {
      config: { access: 'anybody' },
      schema: {
        operationId: 'create_token',
        tags: ['authenticator'],
        summary: 'An access token for a username and password (also as a form)',
        body: zTokenRequest,
        response: answers(z.strictObject({ access_token: zIssuedToken })),
      },
    },
    async (request, reply) => {
      const { username, password } = request.body;
      const waitSeconds = throttle.waitSeconds(username);
      if (waitSeconds > 0) {
        void reply.header('retry-after', String(waitSeconds));
        throw new Refused(429, `Too many failed tries: wait ${waitSeconds} seconds.`);
      }
      throttle.tried(username);
      const user = await authenticate(ports.store, { tenant, username, password });
      if (!user) throw new Refused(401, 'Invalid username/password combination.');
      throttle.succeeded(username);
      const token = await tokens.issue(user.username, `${originOf(request)}/v3/tokens`);
      void reply.header('cache-control', 'no-store');
      return success({ access_token: token }, 'Token created successfully.');
    },
  );
}

function profileRoutes(app: App, ports: ApiPorts, { settings: { tenant } }: Terms): void {
  app.get(
    '/v3/oauth2/userinfo',
    {
      config: { access: 'user' },
      schema: {
        operationId: 'get_userinfo',
        tags: ['authenticator'],
        summary: 'Who I am',
        response: answers(zProfile),
      },
    },
    async (request) => {
      return success(profile(actingOf(request).username), 'User info retrieved successfully.');
    },
  );

  app.get(
    '/v3/oauth2/profiles/:username',
    {
      config: { access: 'user' },
      schema: {
        operationId: 'get_profile',
        tags: ['authenticator'],
        summary: 'The profile of a user',
        params: z.object({ username: z.string() }),
        response: answers(zProfile),
      },
    },
    async (request) => {
      const { username } = request.params;
      if (!(await findUser(ports.store, tenant, username))) {
        throw new Refused(404, `Profile with identifier username: '${username}' not found`);
      }
      return success(profile(username), 'Profile retrieved successfully.');
    },
  );
}

const profile = (username: string): z.infer<typeof zProfile> => ({
  username,
  email: '',
  given_name: '',
  last_name: '',
  dn: `cn=${username}`,
  create_time: null,
});
