import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { Random } from '#contracts/random.ts';
import type { Collection, Store } from '#contracts/store.ts';
import { collection } from '#contracts/store.ts';
import type { PasswordHash } from './passwords.ts';
import { hashPassword, passwordMatches, zPasswordHash } from './passwords.ts';

const zUser = z.strictObject({
  tenant: z.string(),
  username: z.string(),
  admin: z.boolean(),
  password: zPasswordHash,
  createdAtMs: z.number(),
});
export type User = z.infer<typeof zUser>;

const users = (store: Store): Collection<User> => collection(store, 'users', zUser);
const userKey = (tenant: string, username: string): string => `${tenant}/${username}`;

export async function findUser(
  store: Store,
  tenant: string,
  username: string,
): Promise<User | undefined> {
  return (await users(store).get(userKey(tenant, username)))?.value;
}

export async function usernames(store: Store, tenant: string): Promise<string[]> {
  const { documents } = await users(store).list();
  return documents
    .filter(({ value }) => value.tenant === tenant)
    .map(({ value }) => value.username);
}

export async function hasUser(
  { store }: { readonly store: Store },
  tenant: string,
  username: string,
): Promise<boolean> {
  return (await findUser(store, tenant, username)) !== undefined;
}

/** Makes the user be there with this password and role; says what had to be done. */
export async function ensureUser(
  ports: { readonly store: Store; readonly random: Random; readonly clock: Clock },
  wanted: {
    readonly tenant: string;
    readonly username: string;
    readonly password: string;
    readonly admin: boolean;
  },
): Promise<'created' | 'updated' | 'unchanged'> {
  const { tenant, username, password, admin } = wanted;
  const stored = await findUser(ports.store, tenant, username);
  const same = stored?.admin === admin && (await passwordMatches(password, stored.password));
  if (same) return 'unchanged';
  const user: User = {
    tenant,
    username,
    admin,
    password: await hashPassword(password, ports.random.bytes(16)),
    createdAtMs: stored?.createdAtMs ?? ports.clock.nowMs(),
  };
  await users(ports.store).put(userKey(tenant, username), user, 'anything');
  return stored ? 'updated' : 'created';
}

// Compared against when there is no such user, so that the answer takes as long.
const nobody: PasswordHash = {
  cost: 2 ** 16,
  blockSize: 8,
  parallelization: 1,
  salt: 'bm9ib2R5',
  hash: Buffer.alloc(32).toString('base64url'),
};

/** The user when the password is theirs. */
export async function authenticate(
  store: Store,
  { tenant, username, password }: { tenant: string; username: string; password: string },
): Promise<User | undefined> {
  const user = await findUser(store, tenant, username);
  const matches = await passwordMatches(password, user?.password ?? nobody);
  return matches ? user : undefined;
}
