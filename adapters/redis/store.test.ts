import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { storeConforms } from '../../test/conformance/store.ts';
import { openTestRedis } from '../../test/programs/redis-store.ts';
import { redisProgram, RedisServer } from '../../test/programs/redis.ts';
import { available } from '../../test/programs/run.ts';
import type { OpenRedis } from './redis.ts';

const program = (await available('the Redis store', redisProgram)) ?? '';

describe.skipIf(!program)('documents in a real Redis', () => {
  let server: RedisServer;
  let client: Redis;
  const opened: OpenRedis[] = [];

  beforeAll(async () => {
    server = await RedisServer.start(program);
    client = server.client();
  });
  afterEach(async () => {
    for (const redis of opened.splice(0)) redis.close();
    await client.flushall();
  });
  afterAll(() => server.stop());

  async function open(): Promise<OpenRedis['store']> {
    const redis = await openTestRedis(server.url);
    opened.push(redis);
    return redis.store;
  }

  storeConforms('RedisStore', open);

  test('versions are not given again by a Redis that has forgotten the newest', async () => {
    const store = await open();
    const first = await store.put('pods', { id: 'a', value: 1 }, 'absent');
    await client.flushall();
    const second = await store.put('pods', { id: 'a', value: 2 }, 'absent');
    expect(second).toBeGreaterThan(first);
  });

  test('a refused write leaves no trace, and a removal none but its change', async () => {
    const store = await open();
    await store.put('pods', { id: 'a', value: 1 }, 'absent');
    const before = await client.dbsize();
    const fence = { lease: 'leader', token: 9 };
    await expect(store.put('pods', { id: 'a', value: 2 }, 'absent', fence)).rejects.toThrow();
    expect(await client.dbsize()).toBe(before);
    await store.remove('pods', 'a', 'anything');
    expect(await client.keys('*')).toEqual(
      expect.arrayContaining(['{podgate}:newest', '{podgate}:changes', '{podgate}:removals']),
    );
    expect(await client.dbsize()).toBe(3);
  });

  test('a list of many pages is of one moment, whatever is written and removed meanwhile', async () => {
    const store = await open();
    const other = await open();
    const count = 1_500;
    const add = (index: number) =>
      other.put('pods', { id: `id-${index}`, value: index }, 'anything');
    await Promise.all(Array.from({ length: count }, (_, index) => add(index)));
    const over = new AbortController();
    // At any moment there are as many as in the beginning, or one more.
    const moving = (async () => {
      for (let turn = 0; !over.signal.aborted; turn += 1) {
        await add(count + turn);
        await other.remove('pods', `id-${turn}`, 'anything');
      }
      return store.list('pods');
    })();
    for (let turn = 0; turn < 20; turn += 1) {
      const listed = await store.list('pods');
      expect(new Set(listed.map(({ id }) => id)).size).toBe(listed.length);
      expect([count, count + 1]).toContain(listed.length);
      expect([count, count + 1]).toContain((await store.changesSince('pods', 0)).written.length);
    }
    over.abort();
    const all = await moving;
    expect(await client.zcard('{podgate}:versions:pods')).toBe(all.length);
    expect(await client.hlen('{podgate}:documents:pods')).toBe(all.length);
  });

  test('documents that are large come on pages of few', async () => {
    const store = await open();
    const value = 'x'.repeat(700_000);
    for (const id of ['c', 'a', 'd', 'b', 'e']) await store.put('pods', { id, value }, 'absent');
    await store.remove('pods', 'd', 'anything');
    const ids = ['a', 'b', 'c', 'e'];
    expect((await store.list('pods')).map(({ id }) => id)).toEqual(ids);
    const delta = await store.changesSince('pods', 0);
    expect(delta.written.map(({ id }) => id).toSorted()).toEqual(ids);
    expect(delta.ids?.toSorted()).toEqual(ids);
  });

  test('a delta since a version that this Redis never gave is everything', async () => {
    const store = await open();
    await store.put('pods', { id: 'a', value: 1 }, 'absent');
    await store.put('pods', { id: 'b', value: 2 }, 'absent');
    const { version } = await store.changesSince('pods', 0);
    // As after a failover to a replica that did not have the last write.
    for (const since of [version + 5, version - 1]) {
      const delta = await store.changesSince('pods', since);
      expect(delta.written.map(({ id }) => id).toSorted()).toEqual(['a', 'b']);
      expect(delta.ids?.toSorted()).toEqual(['a', 'b']);
      expect(delta.version).toBe(version);
    }
  });

  test('a script that Redis forgot is sent again', async () => {
    const store = await open();
    await store.put('pods', { id: 'a', value: 1 }, 'absent');
    await client.script('FLUSH');
    expect(await store.list('pods')).toHaveLength(1);
    await client.script('FLUSH');
    await store.put('pods', { id: 'a', value: 2 }, 'anything');
    expect((await store.get('pods', 'a'))?.value).toBe(2);
  });

  test('one connection carries all calls, another waits for changes', async () => {
    const store = await open();
    const abort = new AbortController();
    for (const name of ['pods', 'users', 'pods']) store.watch(name, abort.signal);
    await Promise.all(Array.from({ length: 50 }, () => store.get('pods', 'a')));
    const clients = String(await client.client('LIST'))
      .trim()
      .split('\n');
    expect(clients).toHaveLength(3); // and the test's own
    abort.abort();
  });
});
