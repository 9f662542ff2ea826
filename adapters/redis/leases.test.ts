import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Leases } from '#contracts/leases.ts';
import { leasesConform } from '../../test/conformance/leases.ts';
import { openTestRedis } from '../../test/programs/redis-store.ts';
import { redisProgram, RedisServer } from '../../test/programs/redis.ts';
import { available } from '../../test/programs/run.ts';
import { leaseKey, tokensKey } from './keys.ts';
import type { OpenRedis } from './redis.ts';

const program = (await available('the Redis leases', redisProgram)) ?? '';

describe.skipIf(!program)('leases in a real Redis', () => {
  let server: RedisServer;
  let redis: OpenRedis;
  let client: Redis;

  beforeAll(async () => {
    server = await RedisServer.start(program);
    client = server.client();
  });
  beforeEach(async () => {
    redis = await openTestRedis(server.url);
  });
  afterEach(async () => {
    redis.close();
    await client.flushall();
  });
  afterAll(() => server.stop());

  // A millisecond of the suite is 100 here, and time passes by moving the ends of all leases: what
  // the machine takes for the calls does not count.
  const scale = 100;
  const slower = (leases: Leases): Leases => ({
    acquire: (name, holder, ttlMs) => leases.acquire(name, holder, ttlMs * scale),
    renew: (lease, ttlMs) => leases.renew(lease, ttlMs * scale),
    release: (lease) => leases.release(lease),
  });
  async function pass(ms: number): Promise<void> {
    for (const key of await client.keys(leaseKey('*'))) {
      await client.pexpire(key, (await client.pttl(key)) - ms * scale);
    }
  }
  leasesConform('RedisLeases', () => ({ leases: slower(redis.leases), pass }));

  test('Redis itself ends a lease that nobody renews', async () => {
    const lease = await redis.leases.acquire('leader', 'a', 150);
    while ((await redis.leases.acquire('leader', 'b', 5_000)) === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(lease && (await redis.leases.renew(lease, 100))).toBe(false);
  });

  test('a token is not given again by a Redis that has forgotten the newest', async () => {
    const first = await redis.leases.acquire('leader', 'a', 5_000);
    await client.del(leaseKey('leader'), tokensKey);
    const second = await redis.leases.acquire('leader', 'b', 5_000);
    expect(second?.token).toBeGreaterThan(first?.token ?? Infinity);
  });

  test('nor by one whose clock was set back', async () => {
    const ahead = (Date.now() + 3_600_000) * 1000;
    await client.hset(tokensKey, 'leader', ahead);
    const lease = await redis.leases.acquire('leader', 'a', 5_000);
    expect(lease?.token).toBe(ahead + 1);
  });

  test('what a holder calls itself is taken as it is', async () => {
    const holder = '7 a%d\n"b" ';
    const lease = await redis.leases.acquire('leader', holder, 5_000);
    expect(await redis.leases.acquire('leader', holder, 5_000)).toEqual(lease);
    expect(await redis.leases.acquire('leader', '7', 5_000)).toBeUndefined();
  });
});
