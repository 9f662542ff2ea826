import { z } from 'zod';
import { actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import { answers, success } from '../envelope.ts';
import { Refused } from '../errors.ts';
import type { ApiPorts } from '../ports.ts';
import { timestamp, zTime } from '../times.ts';
import { authorizeRoutes } from './authorize-routes.ts';
import { clientRoutes } from './client-routes.ts';
import { Clients } from './clients.ts';
import { discoveryRoutes } from './discovery-routes.ts';
import type { Identities } from './identity.ts';
import { serviceTokenRoutes } from './service-token-routes.ts';
import { tokenRoutes } from './token-routes.ts';
import type { UserAdministration } from './user-administration.ts';
import { userRoutes } from './user-routes.ts';
import type { User } from './users.ts';
import { findUser, usersOf } from './users.ts';

const zProfile = z.strictObject({
  username: z.string(),
  email: z.string(),
  given_name: z.string(),
  last_name: z.string(),
  dn: z.string(),
  create_time: zTime,
});

interface AuthParts {
  readonly identities: Identities;
  readonly people: UserAdministration;
}

/** The endpoints of authentication. */
export async function authRoutes(
  app: App,
  ports: ApiPorts,
  { identities, people }: AuthParts,
): Promise<void> {
  await tokenRoutes(app, identities);
  serviceTokenRoutes(app, identities);
  clientRoutes(app, new Clients(ports));
  await authorizeRoutes(app, identities);
  discoveryRoutes(app, identities);
  profileRoutes(app, ports);
  userRoutes(app, people);
}

function profileRoutes(app: App, { store }: ApiPorts): void {
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
    async (request) => {
      const people = await usersOf(store, actingOf(request).tenant);
      return success(people.map(profile), 'Profiles retrieved successfully.');
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
      const { tenant, username } = actingOf(request);
      // Whom another issuer vouches for has no record here.
      const user = (await findUser(store, tenant, username)) ?? { username };
      return success(profile(user), 'User info retrieved successfully.');
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
      const user = await findUser(store, actingOf(request).tenant, username);
      if (!user) {
        throw new Refused(404, `Profile with identifier username: '${username}' not found`);
      }
      return success(profile(user), 'Profile retrieved successfully.');
    },
  );
}

const profile = (user: Pick<User, 'username'> & Partial<User>): z.infer<typeof zProfile> => ({
  username: user.username,
  email: user.email ?? '',
  given_name: user.givenName ?? '',
  last_name: user.lastName ?? '',
  dn: `cn=${user.username}`,
  create_time: timestamp(user.createdAtMs),
});
