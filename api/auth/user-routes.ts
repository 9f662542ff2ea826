import { z } from 'zod';
import { actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import { answers, success } from '../envelope.ts';
import { loginsPerAddress } from '../traffic-rules.ts';
import { timestamp, zTime } from '../times.ts';
import { zAccountType, zUsername } from './names.ts';
import type { UserAdministration, UserSettings } from './user-administration.ts';
import type { User } from './users.ts';

const tags = ['users'];
const url = '/v3/oauth2/users';
const params = z.object({ username: z.string() });

export const zNewPassword = z
  .string()
  .min(8, 'must have at least 8 characters')
  .max(1024, 'is longer than 1024');
const zText = z.string().max(255, 'is longer than 255');

const zSettings = z.strictObject({
  password: zNewPassword.optional(),
  admin: z.boolean().optional().describe('Whether they may do everything in their tenant.'),
  disabled: z.boolean().optional().describe('Not let in, and no token of theirs counts.'),
  email: zText.optional(),
  given_name: zText.optional(),
  last_name: zText.optional(),
});
const zChanges = zSettings.meta({ examples: [{ admin: false, email: 'ada@example.org' }] });

const zNewUser = zSettings
  .extend({
    username: zUsername,
    password: zNewPassword,
    account_type: zAccountType.default('user').describe('A service may act for users.'),
  })
  .meta({ examples: [{ username: 'grace', password: 'correct horse battery staple' }] });

const zWireUser = z
  .strictObject({
    username: z.string(),
    account_type: zAccountType,
    admin: z.boolean(),
    disabled: z.boolean(),
    email: z.string(),
    given_name: z.string(),
    last_name: z.string(),
    tenant_id: z.string(),
    create_time: zTime,
  })
  .meta({ id: 'User' });

/** The users of the tenant, as its admins see to them. */
export function userRoutes(app: App, people: UserAdministration): void {
  collectionRoutes(app, people);
  userRoute(app, people);
  passwordRoute(app, people);
}

function collectionRoutes(app: App, people: UserAdministration): void {
  app.get(
    url,
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'list_users',
        tags,
        summary: 'The users and services of the tenant',
        response: answers(z.array(zWireUser)),
      },
    },
    async (request) => {
      const all = await people.list(actingOf(request));
      return success(all.map(presentUser), 'Users retrieved successfully.');
    },
  );
  app.post(
    url,
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'create_user',
        tags,
        summary: 'Make a user, or a service',
        body: zNewUser,
        response: answers(zWireUser),
      },
    },
    async (request) => {
      const { username, account_type: accountType, ...settings } = request.body;
      const name = { username, accountType };
      const user = await people.add(actingOf(request).tenant, name, settingsOf(settings));
      return success(presentUser(user), 'User created successfully.');
    },
  );
}

function userRoute(app: App, people: UserAdministration): void {
  const one = `${url}/:username`;
  const config = { access: 'admin' } as const;
  const response = answers(zWireUser);
  app.get(
    one,
    { config, schema: { operationId: 'get_user', tags, summary: 'One user', params, response } },
    async (request) => {
      const user = await people.get(request.params.username, actingOf(request));
      return success(presentUser(user), 'User retrieved successfully.');
    },
  );
  app.put(
    one,
    {
      config,
      schema: {
        operationId: 'update_user',
        tags,
        summary: 'Change a user: role, password, whether they are let in',
        params,
        body: zChanges,
        response,
      },
    },
    async (request) => {
      const { username } = request.params;
      const user = await people.update(username, settingsOf(request.body), actingOf(request));
      return success(presentUser(user), 'User updated successfully.');
    },
  );
  app.delete(
    one,
    {
      config,
      schema: {
        operationId: 'delete_user',
        tags,
        summary: 'Delete a user: their tokens end, their pods stay and go to whoever gets the name',
        params,
        response: answers(z.literal('')),
      },
    },
    async (request) => {
      await people.remove(request.params.username, actingOf(request));
      return success('' as const, 'User successfully deleted.');
    },
  );
}

function passwordRoute(app: App, people: UserAdministration): void {
  app.put(
    '/v3/oauth2/password',
    {
      config: { access: 'user', rateLimit: loginsPerAddress },
      schema: {
        operationId: 'change_password',
        tags: ['authenticator'],
        summary: 'Change my password; all my tokens end',
        body: z.strictObject({
          old_password: z.string().max(1024, 'is longer than 1024'),
          new_password: zNewPassword,
        }),
        response: answers(z.literal('')),
      },
    },
    async (request) => {
      const { old_password: old, new_password: next } = request.body;
      await people.changePassword(old, next, actingOf(request));
      return success('' as const, 'Password changed; log in with the new one.');
    },
  );
}

const settingsOf = ({
  given_name: givenName,
  last_name: lastName,
  ...rest
}: z.infer<typeof zSettings>): UserSettings => ({ ...rest, givenName, lastName });

const presentUser = (user: User): z.infer<typeof zWireUser> => ({
  username: user.username,
  account_type: user.accountType,
  admin: user.admin,
  disabled: user.disabled,
  email: user.email,
  given_name: user.givenName,
  last_name: user.lastName,
  tenant_id: user.tenant,
  create_time: timestamp(user.createdAtMs),
});
