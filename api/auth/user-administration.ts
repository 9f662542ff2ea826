import type { ApiPorts } from '../ports.ts';
import { Refused } from '../errors.ts';
import { retrying } from '../retrying.ts';
import type { Person } from './caller.ts';
import type { Identities } from './identity.ts';
import type { AccountType } from './names.ts';
import { hashPassword } from './passwords.ts';
import type { User } from './users.ts';
import { newUser, userKey, users, usersOf } from './users.ts';

type OfTenant = Pick<Person, 'tenant'>;

/** What admins say of a user. */
export interface UserSettings {
  readonly password?: string | undefined;
  readonly admin?: boolean | undefined;
  readonly disabled?: boolean | undefined;
  readonly email?: string | undefined;
  readonly givenName?: string | undefined;
  readonly lastName?: string | undefined;
}

/** The users of our own provider, as admins of their tenant see to them. */
export class UserAdministration {
  readonly #ports: ApiPorts;
  readonly #identities: Identities;

  constructor(ports: ApiPorts, identities: Identities) {
    this.#ports = ports;
    this.#identities = identities;
  }

  async list({ tenant }: OfTenant): Promise<User[]> {
    return usersOf(this.#ports.store, tenant);
  }

  /** Throws `Refused` 404. */
  async get(username: string, { tenant }: OfTenant): Promise<User> {
    return (await this.#stored(tenant, username)).value;
  }

  /** Throws `Refused` 409 when there is one of this name. */
  async add(
    tenant: string,
    name: { readonly username: string; readonly accountType: AccountType },
    settings: UserSettings,
  ): Promise<User> {
    const nowMs = this.#ports.clock.nowMs();
    const fresh = { ...newUser({ tenant, ...name }, nowMs), accountType: name.accountType };
    const user = await this.#changed(fresh, settings);
    return retrying(async () => {
      const taken = await users(this.#ports.store).get(userKey(tenant, name.username));
      if (taken) {
        const message = `User with username '${name.username}' already exists, choose another.`;
        throw new Refused(409, message);
      }
      await users(this.#ports.store).put(userKey(tenant, name.username), user, 'absent');
      return user;
    });
  }

  /** Throws `Refused`: 404, or 409 where no admin would be left. */
  async update(username: string, settings: UserSettings, { tenant }: OfTenant): Promise<User> {
    return retrying(async () => {
      const { value, version } = await this.#stored(tenant, username);
      const user = await this.#changed(value, settings);
      if (!isInCharge(user)) await this.#refuseWithoutAdmin(value);
      await users(this.#ports.store).put(userKey(tenant, username), user, { version });
      return user;
    });
  }

  /** Their tokens end with them; their pods stay. Throws as `update`. */
  async remove(username: string, { tenant }: OfTenant): Promise<void> {
    const { value, version } = await this.#stored(tenant, username);
    await this.#refuseWithoutAdmin(value);
    await users(this.#ports.store).remove(userKey(tenant, username), { version });
  }

  /** By the user, who has to know the old one. All tokens of before end. Throws `Refused`. */
  async changePassword(old: string, next: string, { tenant, username }: Person): Promise<void> {
    const identity = await this.#identities.of(tenant);
    await identity.login(username, old);
    await this.update(username, { password: next }, { tenant });
  }

  async #stored(tenant: string, username: string) {
    const stored = await users(this.#ports.store).get(userKey(tenant, username));
    if (!stored) throw new Refused(404, `User with identifier username: '${username}' not found`);
    return stored;
  }

  async #changed(user: User, { password, ...settings }: UserSettings): Promise<User> {
    const { clock, random } = this.#ports;
    const said = Object.entries(settings).filter(([, value]) => value !== undefined);
    const next: User = { ...user, ...Object.fromEntries(said) };
    if (password === undefined) return next;
    const hash = await hashPassword(password, random.bytes(16));
    return { ...next, password: hash, tokensFromMs: clock.nowMs() };
  }

  async #refuseWithoutAdmin(user: User): Promise<void> {
    if (!isInCharge(user)) return;
    const others = await usersOf(this.#ports.store, user.tenant);
    if (others.some((other) => isInCharge(other) && other.username !== user.username)) return;
    throw new Refused(409, `${user.username} is the only admin: make another one first.`);
  }
}

const isInCharge = ({ admin, disabled }: User): boolean => admin && !disabled;
