import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WriteOutcomeUnknown } from '#contracts/store.ts';
import { storeConforms } from '../../test/conformance/store.ts';
import { openTestRedis } from '../../test/programs/redis-store.ts';
import { redisProgram, RedisServer } from '../../test/programs/redis.ts';
import { available } from '../../test/programs/run.ts';
import type { OpenRedis } from './redis.ts';

const program = (await available('Redis with a replica', redisProgram)) ?? '';

describe.skipIf(!program)('a real Redis with a replica', () => {
  let master: RedisServer;
  let replica: RedisServer;
  const opened: OpenRedis[] = [];

  beforeAll(async () => {
    master = await RedisServer.start(program, '--repl-diskless-sync-delay', '0');
    replica = await RedisServer.start(program, '--replicaof', '127.0.0.1', String(master.port));
    await attached();
  });
  afterEach(async () => {
    for (const redis of opened.splice(0)) redis.close();
    await master.client().flushall();
  });
  afterAll(() => Promise.all([master.stop(), replica.stop()]));

  async function attached(): Promise<void> {
    const client = master.client();
    while (!/state=online/.test(await client.info('replication'))) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async function open(): Promise<OpenRedis['store']> {
    const redis = await openTestRedis(master.url, { waitReplicas: 1 });
    opened.push(redis);
    return redis.store;
  }

  storeConforms('RedisStore that waits for a replica', open);

  test('an answered write is in the replica', async () => {
    const store = await open();
    for (let value = 0; value < 200; value += 1) {
      await store.put('pods', { id: 'a', value }, 'anything');
      const copy = await replica.client().hget('{podgate}:documents:pods', 'a');
      expect(copy).toMatch(new RegExp(` ${value}$`));
    }
  });

  test('a watch has begun before a write that was asked for later, whatever connection is away', async () => {
    const store = await open();
    await store.put('pods', { id: 'before', value: 1 }, 'absent');
    await store.get('pods', 'before');
    const clients = String(await master.client().client('LIST'));
    const reading = /^id=(\d+) .* cmd=hget /m.exec(clients)?.[1];
    await master.client().call('client', 'KILL', 'ID', String(reading));
    const abort = new AbortController();
    const changes = store.watch('pods', abort.signal)[Symbol.asyncIterator]();
    const first = changes.next();
    await store.put('pods', { id: 'after', value: 1 }, 'absent');
    expect(await first).toMatchObject({ value: { id: 'after' } });
    abort.abort();
  });

  test('a write that no replica took is unknown, and meanwhile reads are answered', async () => {
    const store = await open();
    const leases = opened[0]?.leases;
    if (!leases) throw new Error('it was opened just now');
    await store.put('pods', { id: 'a', value: 1 }, 'absent');
    await replica.kill('SIGSTOP');
    try {
      const writing = store.put('pods', { id: 'a', value: 2 }, 'anything');
      const outcome = expect(writing).rejects.toThrow(WriteOutcomeUnknown);
      const startedMs = performance.now();
      expect(await store.list('pods')).toHaveLength(1);
      expect(performance.now() - startedMs).toBeLessThan(1_000);
      await outcome;
      // Nobody leads by a lease that a failover would forget.
      await expect(leases.acquire('leader', 'me', 5_000)).rejects.toThrow(WriteOutcomeUnknown);
    } finally {
      await replica.kill('SIGCONT');
    }
    await attached();
    await store.put('pods', { id: 'a', value: 3 }, 'anything');
    const lease = await leases.acquire('leader', 'me', 5_000);
    expect(lease && (await leases.renew(lease, 5_000))).toBe(true);
  });
});
