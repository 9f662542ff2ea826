import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryLogExchange } from '#adapters/memory/log-exchange.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { MemoryTrafficExchange } from '#adapters/memory/traffic-exchange.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import type { Log } from '#contracts/log.ts';
import { buildApp } from '../../api/app.ts';
import { Identities } from '../../api/auth/identity.ts';
import { accessTokenSeconds } from '../../api/auth/tokens.ts';
import { ensureUser } from '../../api/auth/users.ts';
import type { AccountType } from '../../api/auth/names.ts';
import type { ApiSettings } from '../../api/ports.ts';
import { Tenants } from '../../api/tenants/tenants.ts';

/** The REST API on stand-ins, called without sockets: what its unit tests share. */

const tenant = 'default';
export const origin = 'http://api.test:3000';

interface Wire {
  readonly message: string | string[];
  readonly metadata: Record<string, unknown>;
  readonly result: unknown;
  readonly status: string;
  readonly version: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** The body as JSON; throws when it is none. */
  readonly body: Wire;
}

export interface Call {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly from?: string;
}

interface Line {
  readonly fields: object;
  readonly message: string;
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'OPTIONS';

/** A store in which somebody else can get in between a read and the write that follows. */
class RacingStore extends MemoryStore {
  beforeNextPut: (() => Promise<unknown>) | undefined;

  override async put(...args: Parameters<MemoryStore['put']>): Promise<number> {
    const interlope = this.beforeNextPut;
    this.beforeNextPut = undefined;
    await interlope?.();
    return super.put(...args);
  }
}

export async function openBench(changes: Partial<ApiSettings> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'podgate-api-'));
  const logged: Line[] = [];
  const traced: Line[] = [];
  const write = (fields: object, message: string): void => void logged.push({ fields, message });
  const trace = (fields: object, message: string): void => void traced.push({ fields, message });
  const log: Log = { debug: trace, info: write, warn: write, error: write };
  const store = new RacingStore();
  const clock = new ManualClock(Date.UTC(2026, 0, 1, 12));
  const sealer = openSealer(join(folder, 'secret.key'));
  const logs = new MemoryLogExchange();
  const traffic = new MemoryTrafficExchange();
  const routes = new MemoryRouteBus();
  const ports = { store, clock, sealer, logs, traffic, routes, log, random: systemRandom };
  const settings: ApiSettings = {
    tenant,
    domain: 'localhost',
    host: '127.0.0.1',
    port: 0,
    publicHttpsPort: 8443,
    trustedProxies: ['127.0.0.1', '::1'],
    runtime: 'auto',
    statusCodes: 'http',
    requestsPerMinute: 0,
    programs: { postgres: undefined, neo4j: undefined },
    ...changes,
  };
  const tenants = new Tenants(ports, settings);
  const identities = new Identities(ports, tenants);
  const { tokens } = await identities.of(tenant);
  const app = await buildApp(ports, { settings, identities, tenants });

  /** An access token of a tenant, whether it has such a user or not. */
  async function tokenOf(username: string, of = tenant, accountType: AccountType = 'user') {
    const { tokens: theirs } = await identities.of(of);
    const terms = { issuer: `${origin}/v3/tokens`, seconds: accessTokenSeconds };
    return (await theirs.issue({ username, accountType }, terms)).access_token;
  }

  async function call(method: Method, url: string, options: Call = {}): Promise<Answer> {
    const { body, headers = {}, from = '127.0.0.1' } = options;
    const response = await app.inject({
      method,
      url,
      headers: { host: 'api.test:3000', ...headers },
      remoteAddress: from,
      ...(body === undefined ? {} : { payload: body as string | object }),
    });
    return {
      status: response.statusCode,
      headers: response.headers,
      text: response.body,
      get body() {
        return response.json<Wire>();
      },
    };
  }

  return {
    app,
    store,
    clock,
    sealer,
    logs,
    traffic,
    routes,
    logged,
    /** What is logged at `debug`. */
    traced,
    tokens,
    identities,
    tokenOf,
    call,
    /** Calls as a user that exists, with a token that is valid now. */
    as:
      (username: string, of = tenant) =>
      async (method: Method, url: string, options: Call = {}) => {
        const headers = { 'x-tapis-token': await tokenOf(username, of), ...options.headers };
        return call(method, url, { ...options, headers });
      },
    addUser: (username: string, password: string, admin = false) =>
      ensureUser(ports, { tenant, username, password, admin }),
    close: async () => {
      await app.close();
      rmSync(folder, { recursive: true });
    },
  };
}

export type Bench = Awaited<ReturnType<typeof openBench>>;
