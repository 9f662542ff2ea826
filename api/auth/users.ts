import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { Random } from '#contracts/random.ts';
import type { Collection, Store } from '#contracts/store.ts';
import { collection } from '#contracts/store.ts';
import { retrying } from '../retrying.ts';
import { zAccountType } from './names.ts';
import type { PasswordHash } from './passwords.ts';
import { hashPassword, passwordMatches, zPasswordHash } from './passwords.ts';

const zUser = z.strictObject({
  tenant: z.string(),
  username: z.string(),
  accountType: zAccountType.default('user'),
  admin: z.boolean(),
  disabled: z.boolean().default(false),
  email: z.string().default(''),
  givenName: z.string().default(''),
  lastName: z.string().default(''),
  password: zPasswordHash,
  createdAtMs: z.number(),
  /** Tokens issued sooner do not count: the password was changed, or another had the name. */
  tokensFromMs: z.number().default(0),
});
export type User = z.infer<typeof zUser>;

export const users = (store: Store): Collection<User> => collection(store, 'users', zUser);
export const userKey = (tenant: string, username: string): string => `${tenant}/${username}`;

export async function findUser(
  store: Store,
  tenant: string,
  username: string,
): Promise<User | undefined> {
  return (await users(store).get(userKey(tenant, username)))?.value;
}

/** The users of a tenant, by name. */
export async function usersOf(store: Store, tenant: string): Promise<User[]> {
  const { documents } = await users(store).list();
  return documents.map(({ value }) => value).filter((user) => user.tenant === tenant);
}

export async function hasUser(
  { store }: { readonly store: Store },
  tenant: string,
  username: string,
): Promise<boolean> {
  return (await findUser(store, tenant, username)) !== undefined;
}

/** Whether a token issued then counts; tokens tell the time in whole seconds. */
export const isGoodFor = ({ disabled, tokensFromMs }: User, issuedAtMs: number): boolean =>
  !disabled && issuedAtMs >= Math.floor(tokensFromMs / 1000) * 1000;

interface UserPorts {
  readonly store: Store;
  readonly random: Random;
  readonly clock: Clock;
}

interface WantedUser {
  readonly tenant: string;
  readonly username: string;
  readonly password: string;
  readonly admin: boolean;
}

/** Makes the user be there with this password and role; says what had to be done. */
export const ensureUser = (
  ports: UserPorts,
  wanted: WantedUser,
): Promise<'created' | 'updated' | 'unchanged'> =>
  // Another api may do the same now: what it wrote must not be written again, its tokens would end.
  retrying(() => ensureOnce(ports, wanted));

async function ensureOnce(
  ports: UserPorts,
  { tenant, username, password, admin }: WantedUser,
): Promise<'created' | 'updated' | 'unchanged'> {
  const found = await users(ports.store).get(userKey(tenant, username));
  const stored = found?.value;
  const sameWord = stored !== undefined && (await passwordMatches(password, stored.password));
  const same = sameWord && stored.admin === admin && !stored.disabled;
  if (same) return 'unchanged';
  const nowMs = ports.clock.nowMs();
  const user: User = {
    ...(stored ?? newUser({ tenant, username }, nowMs)),
    admin,
    disabled: false,
    password: await hashPassword(password, ports.random.bytes(16)),
    tokensFromMs: sameWord ? stored.tokensFromMs : nowMs,
  };
  const expected = found ? { version: found.version } : ('absent' as const);
  await users(ports.store).put(userKey(tenant, username), user, expected);
  return stored ? 'updated' : 'created';
}

/** Somebody who cannot log in yet. */
export const newUser = (
  name: { readonly tenant: string; readonly username: string },
  nowMs: number,
): User => ({
  ...name,
  accountType: 'user',
  admin: false,
  disabled: false,
  email: '',
  givenName: '',
  lastName: '',
  password: nobody,
  createdAtMs: nowMs,
  tokensFromMs: nowMs,
});

// Compared against when there is no such user, so that the answer takes as long.
const nobody: PasswordHash = {
  cost: 2 ** 16,
  blockSize: 8,
  parallelization: 1,
  salt: 'bm9ib2R5',
  hash: Buffer.alloc(32).toString('base64url'),
};

/** The user when the password is theirs and they are let in. */
export async function authenticate(
  store: Store,
  { tenant, username, password }: { tenant: string; username: string; password: string },
): Promise<User | undefined> {
  const user = await findUser(store, tenant, username);
  const matches = await passwordMatches(password, user?.password ?? nobody);
  return matches && user?.disabled === false ? user : undefined;
}
