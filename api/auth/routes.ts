import { z } from 'zod';
import { actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import { answers, success } from '../envelope.ts';
import { Refused } from '../errors.ts';
import type { ApiPorts } from '../ports.ts';
import { authorizeRoutes } from './authorize-routes.ts';
import { clientRoutes } from './client-routes.ts';
import { discoveryRoutes } from './discovery-routes.ts';
import type { Identity } from './identity.ts';
import { tokenRoutes } from './token-routes.ts';
import { findUser, usernames } from './users.ts';

const zProfile = z.strictObject({
  username: z.string(),
  email: z.string(),
  given_name: z.string(),
  last_name: z.string(),
  dn: z.string(),
  create_time: z.null(),
});

/** The endpoints of authentication. */
export async function authRoutes(app: App, ports: ApiPorts, identity: Identity): Promise<void> {
  await tokenRoutes(app, identity);
  clientRoutes(app, identity.clients);
  await authorizeRoutes(app, identity);
  discoveryRoutes(app, identity);
  profileRoutes(app, ports, identity.tenant);
}

function profileRoutes(app: App, ports: ApiPorts, tenant: string): void {
  app.get(
    '/v3/oauth2/profiles',
    {
      config: { access: 'user' },
      schema: {
        operationId: 'list_profiles',
        tags: ['authenticator'],
        summary: 'The users of the tenant',
        response: answers(z.array(zProfile)),
      },
    },
    async () => {
      const names = await usernames(ports.store, tenant);
      return success(names.map(profile), 'Profiles retrieved successfully.');
    },
  );
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
