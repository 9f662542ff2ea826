import type { FastifyRequest } from 'fastify';
import type { Tenant } from '#contracts/tenant.ts';
import { Refused } from '../errors.ts';
import type { ApiPorts } from '../ports.ts';
import type { Tenants } from '../tenants/tenants.ts';
import { Clients } from './clients.ts';
import { Codes } from './codes.ts';
import { Sessions } from './sessions.ts';
import { LoginThrottle } from './throttle.ts';
import type { Tokens } from './tokens.ts';
import { claimsOf, openTokens } from './tokens.ts';
import type { User } from './users.ts';
import { authenticate, findUser, isGoodFor } from './users.ts';

/** Who people of a tenant are, and what proves it: what the endpoints of authentication stand on. */
export interface Identity {
  readonly tenant: string;
  readonly tokens: Tokens;
  readonly sessions: Sessions;
  readonly clients: Clients;
  readonly codes: Codes;
  /** The user with this password. Throws `Refused`: 401, or 429 after too many guesses. */
  readonly login: (username: string, password: string) => Promise<User>;
}

/** The identities of all tenants, each opened when it is first asked for. */
export class Identities {
  readonly #ports: ApiPorts;
  readonly #tenants: Tenants;
  readonly #throttle: LoginThrottle;
  readonly #opened = new Map<string, Promise<Identity>>();

  constructor(ports: ApiPorts, tenants: Tenants) {
    this.#ports = ports;
    this.#tenants = tenants;
    this.#throttle = new LoginThrottle(ports);
  }

  /** Of the tenant that a request without a token is for. Throws `Refused` when it is inactive. */
  async at(request: FastifyRequest): Promise<Identity> {
    return this.#ofActive(await this.#tenants.at(request.hostname));
  }

  /** Of a tenant that somebody names. Throws `Refused` when there is none, or it is inactive. */
  async named(id: string): Promise<Identity> {
    return this.#ofActive(await this.#tenants.get(id));
  }

  /** Of the tenant that the token says it is of, which is yet to be verified; else as `at`. */
  async ofToken(token: string, request: FastifyRequest): Promise<Identity> {
    const named = claimsOf(token)?.['tapis/tenant_id'];
    const tenant = typeof named === 'string' ? await this.#tenants.find(named) : undefined;
    return tenant ? this.#ofActive(tenant) : this.at(request);
  }

  async #ofActive({ tenantId, active }: Tenant): Promise<Identity> {
    if (!active) throw new Refused(403, `Tenant ${tenantId} is inactive.`);
    return this.of(tenantId);
  }

  /** Of a tenant that is there. */
  of(tenant: string): Promise<Identity> {
    const known = this.#opened.get(tenant);
    if (known) return known;
    const opened = this.#open(tenant);
    this.#opened.set(tenant, opened);
    // One that failed is tried again.
    opened.catch(() => this.#opened.delete(tenant));
    return opened;
  }

  /** Forgets what has expired. */
  async sweep(): Promise<void> {
    const { sessions, codes } = await this.of(this.#tenants.first);
    await sessions.sweep();
    await codes.sweep();
    await this.#throttle.sweep();
  }

  async #open(tenant: string): Promise<Identity> {
    const ports = this.#ports;
    const { store } = ports;
    const tokens = await openTokens(ports, tenant);
    const isGood = async (username: string, issuedAtMs: number): Promise<boolean> => {
      const user = await findUser(store, tenant, username);
      return user !== undefined && isGoodFor(user, issuedAtMs);
    };
    return {
      tenant,
      tokens,
      sessions: new Sessions(ports, { tokens, tenant }, isGood),
      clients: new Clients(ports),
      codes: new Codes(ports),
      login: async (username, password) => {
        const name = JSON.stringify([tenant, username]);
        const waitSeconds = await this.#throttle.try(name);
        if (waitSeconds > 0) throw new TooManyTries(waitSeconds);
        const user = await authenticate(store, { tenant, username, password });
        if (!user) throw new Refused(401, 'Invalid username/password combination.');
        await this.#throttle.succeeded(name);
        return user;
      },
    };
  }
}

/** 429, with how long to wait. */
export class TooManyTries extends Refused {
  readonly waitSeconds: number;

  constructor(waitSeconds: number) {
    super(429, `Too many failed tries: wait ${waitSeconds} seconds.`);
    this.waitSeconds = waitSeconds;
  }
}
