import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MemoryLogExchange } from '#adapters/memory/log-exchange.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryTrafficExchange } from '#adapters/memory/traffic-exchange.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import type { Api } from '../../api/api.ts';
import { startApi } from '../../api/api.ts';
import { ensureUser } from '../../api/auth/users.ts';
import { openTestRedis, silent } from '../programs/redis-store.ts';
import { redisProgram, RedisServer } from '../programs/redis.ts';
import { available } from '../programs/run.ts';

/** What one api was told, the other knows: two of them, each with its own connection to one Redis. */

const program = (await available('two apis on one Redis', redisProgram)) ?? '';
const requestsPerMinute = 120;

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: { readonly result: unknown; readonly message: unknown };
}

describe.skipIf(!program)('two apis on one Redis', () => {
  const folder = mkdtempSync(join(tmpdir(), 'podgate-two-apis-'));
  const stack = new AsyncDisposableStack();
  const apis: Api[] = [];

  beforeAll(async () => {
    stack.defer(() => rmSync(folder, { recursive: true }));
    const server = await RedisServer.start(program);
    stack.defer(() => server.stop());
    for (let count = 0; count < 2; count += 1) await open(server.url);
  });
  afterAll(() => stack.disposeAsync());

  async function open(url: string): Promise<void> {
    const redis = await openTestRedis(url);
    stack.defer(() => redis.close());
    const ports = {
      store: redis.store,
      sealer: openSealer(join(folder, 'secret.key')),
      clock: systemClock,
      random: systemRandom,
      log: silent,
      logs: new MemoryLogExchange(),
      traffic: new MemoryTrafficExchange(),
      routes: new MemoryRouteBus(),
    };
    for (const username of ['ada', 'bob', 'eve', 'mallory']) {
      const user = { tenant: 'default', username, password: `secret of ${username}`, admin: false };
      await ensureUser(ports, user);
    }
    const api = await startApi(ports, {
      tenant: 'default',
      domain: 'localhost',
      host: '127.0.0.1',
      port: 0,
      publicHttpsPort: 443,
      trustedProxies: [],
      runtime: 'auto',
      statusCodes: 'http',
      requestsPerMinute,
      programs: { postgres: undefined, neo4j: undefined },
    });
    stack.defer(() => api.stop());
    apis.push(api);
  }

  async function call(
    at: 0 | 1,
    [method, path]: readonly [string, string],
    { token, body, key }: { token?: string; body?: object; key?: string } = {},
  ): Promise<Answer> {
    const response = await fetch(`http://127.0.0.1:${apis[at]?.port}${path}`, {
      method,
      headers: {
        ...(body ? { 'content-type': 'application/json' } : {}),
        ...(token === undefined ? {} : { 'x-tapis-token': token }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const answer = (await response.json()) as Answer['body'];
    return { status: response.status, headers: response.headers, body: answer };
  }

  const login = (at: 0 | 1, username: string, password = `secret of ${username}`) => {
    const body = { grant_type: 'password', username, password };
    return call(at, ['POST', '/v3/oauth2/tokens'], { body });
  };

  interface Tokens {
    readonly access_token: { readonly access_token: string };
    readonly refresh_token: { readonly refresh_token: string };
  }

  async function tokens(at: 0 | 1, username: string): Promise<{ access: string; refresh: string }> {
    const result = (await login(at, username)).body.result as Tokens;
    return {
      access: result.access_token.access_token,
      refresh: result.refresh_token.refresh_token,
    };
  }

  const create = (at: 0 | 1, token: string, key: string, podId: string) =>
    call(at, ['POST', '/v3/pods'], { token, key, body: { pod_id: podId, image: 'podgate/hello' } });

  test('a POST with an Idempotency-Key is done once, whichever is asked and however close', async () => {
    const { access } = await tokens(0, 'ada');
    const first = await create(0, access, 'one', 'once');
    const again = await create(1, access, 'one', 'once');
    expect([first.status, again.status]).toEqual([200, 200]);
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const both = await Promise.all([
      create(0, access, 'two', 'race'),
      create(1, access, 'two', 'race'),
    ]);
    const done = both.filter(
      ({ status, headers }) => status === 200 && headers.get('idempotency-replayed') === null,
    );
    expect(done).toHaveLength(1);
    expect((await create(1, access, 'two', 'race')).status).toBe(200);
  });

  test('what was made at one is in the list of the other with the next request', async () => {
    const { access } = await tokens(1, 'ada');
    for (let count = 0; count < 5; count += 1) {
      const at = count % 2 === 0 ? 0 : 1;
      await create(at, access, `listed-${count}`, `listed${count}`);
      const list = await call(at === 0 ? 1 : 0, ['GET', '/v3/pods'], { token: access });
      const ids = (list.body.result as { pod_id: string }[]).map(({ pod_id: id }) => id);
      expect(ids).toContain(`listed${count}`);
    }
  });

  test('a token that was revoked at one is good at neither from that moment on', async () => {
    const { access, refresh } = await tokens(0, 'bob');
    expect((await call(1, ['GET', '/v3/pods'], { token: access })).status).toBe(200);
    const revoked = await call(1, ['POST', '/v3/oauth2/tokens/revoke'], {
      body: { token: access },
    });
    expect(revoked.status).toBe(200);
    for (const at of [0, 1] as const)
      expect((await call(at, ['GET', '/v3/pods'], { token: access })).status).toBe(401);
    // And a refresh token is good once over both.
    const body = { grant_type: 'refresh_token', refresh_token: refresh };
    expect((await call(0, ['POST', '/v3/oauth2/tokens'], { body })).status).toBe(200);
    expect((await call(1, ['POST', '/v3/oauth2/tokens'], { body })).status).toBe(401);
  });

  test('guesses at one are counted at the other, and the right password has to wait as well', async () => {
    const statuses: number[] = [];
    for (let count = 0; count < 10; count += 1)
      statuses.push((await login(count % 2 === 0 ? 0 : 1, 'mallory', 'guess')).status);
    expect(statuses).toEqual(Array.from({ length: 10 }, () => 401));
    for (const at of [0, 1] as const) expect((await login(at, 'mallory')).status).toBe(429);
    expect((await login(1, 'bob')).status).toBe(200);
  });

  test('a user has one limit of requests over both', async () => {
    const { access } = await tokens(0, 'eve');
    const asked = Array.from({ length: requestsPerMinute * 2 }, (_, count) =>
      call(count % 2 === 0 ? 0 : 1, ['GET', '/v3/pods'], { token: access }),
    );
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(requestsPerMinute);
    expect(statuses.filter((status) => status === 429)).toHaveLength(requestsPerMinute);
  });
});
