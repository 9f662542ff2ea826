import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StoreUnavailable, WriteOutcomeUnknown } from '#contracts/store.ts';
import type { Change, Store } from '#contracts/store.ts';
import { openTestRedis, silent } from '../../test/programs/redis-store.ts';
import { redisProgram, RedisServer } from '../../test/programs/redis.ts';
import { available } from '../../test/programs/run.ts';
import { changesKey } from './keys.ts';
import type { OpenRedis } from './redis.ts';
import { UnsafeRedis } from './redis.ts';

const program = (await available('the faults of Redis', redisProgram)) ?? '';

// Time enough for a server to start again.
const callMs = 2_000;

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 15_000;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain: ${String(condition)}`);
    await soon();
  }
}

const lastTold = (told: readonly Change[], id: string): number | undefined =>
  told.findLast((change) => change.id === id)?.version;

describe.skipIf(!program)('a Redis that fails', () => {
  let server: RedisServer;
  let client: Redis;
  let redis: OpenRedis;
  let store: Store;
  const ending = new Set<() => unknown>();

  beforeEach(async () => {
    server = await RedisServer.start(program);
    client = server.client();
    redis = await openTestRedis(server.url, { callMs });
    store = redis.store;
  });
  afterEach(async () => {
    for (const end of ending) end();
    ending.clear();
    redis.close();
    await server.stop();
  });

  /** Everything that a watcher is told, as it is told. */
  function watch(collection = 'pods', from = store): Change[] {
    const abort = new AbortController();
    ending.add(() => abort.abort());
    const told: Change[] = [];
    const changes = from.watch(collection, abort.signal);
    void (async () => {
      for await (const change of changes) told.push(change);
    })();
    return told;
  }

  const put = (id: string, value: unknown = 1): Promise<number> =>
    store.put('pods', { id, value }, 'anything');

  test('every answered write is there after SIGKILL, and no write that was said not to be', async () => {
    const told = watch();
    for (let round = 0; round < 4; round += 1) {
      const answered = new Map<string, number>();
      const undone: string[] = [];
      let next = 0;
      const over = new AbortController();
      const writers = Array.from({ length: 8 }, async () => {
        while (!over.signal.aborted) {
          const id = `${round}-${(next += 1)}`;
          try {
            answered.set(id, await store.put('pods', { id, value: 'x'.repeat(500) }, 'absent'));
          } catch (error) {
            if (error instanceof StoreUnavailable) undone.push(id);
            else expect(error).toBeInstanceOf(WriteOutcomeUnknown);
          }
        }
      });
      await until(() => answered.size > 200 + round * 57);
      await server.kill();
      over.abort();
      await server.start();
      await Promise.all(writers);
      const listed = new Map((await store.list('pods')).map(({ id, version }) => [id, version]));
      for (const [id, version] of answered) expect(listed.get(id)).toBe(version);
      for (const id of undone) expect(listed.has(id)).toBe(false);
      // Watchers hear of all that is there, answered or not.
      const ids = [...listed.keys()].filter((id) => id.startsWith(`${round}-`));
      await until(() => ids.every((id) => lastTold(told, id) !== undefined));
    }
  }, 60_000);

  /** Ends all connections but the test's own. */
  const cut = () => client.call('client', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');

  test('what happens while the connections are cut is told when they are back', async () => {
    const told = watch();
    const expected: string[] = [];
    for (let round = 0; round < 10; round += 1) {
      const id = `id-${round}`;
      expected.push(id);
      await cut();
      const other = await openTestRedis(server.url);
      await other.store.put('pods', { id, value: round }, 'absent');
      other.close();
    }
    await until(() => told.length >= expected.length);
    expect(told.map(({ id }) => id)).toEqual(expected);
  });

  /** Nobody reads changes while `work` runs, and they are forgotten. */
  async function behindItsBack(work: (other: Store) => Promise<void>): Promise<void> {
    await client.acl('SETUSER', 'default', '-xread', '-xrange');
    await cut();
    const other = await openTestRedis(server.url);
    await work(other.store);
    other.close();
    await client.xtrim(changesKey, 'MAXLEN', 0);
    await client.acl('SETUSER', 'default', '+@all');
  }

  test('after the stream was cut, ids that were written or removed meanwhile are all told', async () => {
    await put('there before, then removed');
    await put('there all the time');
    const told = watch();
    await put('new, then removed');
    await until(() => told.length === 1);
    await behindItsBack(async (other) => {
      await other.remove('pods', 'there before, then removed', 'anything');
      await other.remove('pods', 'new, then removed', 'anything');
      await other.put('pods', { id: 'new', value: 1 }, 'absent');
    });
    await until(() => told.length >= 5);
    expect(new Set(told.slice(1).map(({ id }) => id))).toEqual(
      new Set(['there before, then removed', 'there all the time', 'new, then removed', 'new']),
    );
    told.length = 0;
    const version = await put('afterwards');
    await until(() => told.length > 0);
    expect(told).toEqual([{ id: 'afterwards', version }]);
  });

  test('a history that forgot its end, as after a failover, is noticed without a further write', async () => {
    const told = watch();
    const version = await put('forgotten');
    await until(() => told.length === 1);
    await client.xdel(changesKey, `${version}-0`);
    const unread = store.watch('pods', AbortSignal.timeout(20_000))[Symbol.asyncIterator]();
    await until(() => told.length === 2);
    expect(told[1]?.id).toBe('forgotten');
    expect((await unread.next()).value).toMatchObject({ id: 'forgotten' });
  });

  test('a change that is missing in the middle is noticed', async () => {
    const told = watch();
    await put('first');
    await until(() => told.length === 1);
    await client
      .multi()
      .eval(
        `redis.call('ZADD', '{podgate}:versions:pods', 7, 'skipped')
         redis.call('XADD', '{podgate}:changes', '*', 'previous', '7', 'collection', 'pods', 'id', 'later', 'gone', '')`,
        0,
      )
      .exec();
    await until(() => told.some(({ id }) => id === 'skipped'));
  });

  test('a watch that begins while Redis is away tells of everything when it is back', async () => {
    await put('a');
    await server.kill();
    const told = watch('pods');
    const reading = store.get('pods', 'a');
    await server.start();
    expect((await reading)?.value).toBe(1);
    await put('b');
    await until(() => told.some(({ id }) => id === 'b'));
  });

  test('a server that hangs: reads fail in time, the outcome of writes is unknown, and both recover', async () => {
    await put('a');
    await server.kill('SIGSTOP');
    const startedMs = performance.now();
    const [read, written] = await Promise.allSettled([store.get('pods', 'a'), put('a', 2)]);
    expect(performance.now() - startedMs).toBeLessThan(callMs + 2_000);
    expect(read).toMatchObject({ reason: expect.any(StoreUnavailable) });
    expect(written).toMatchObject({ reason: expect.any(WriteOutcomeUnknown) });
    await server.kill('SIGCONT');
    expect((await store.get('pods', 'a'))?.id).toBe('a');
    await put('a', 3);
    expect(redis.problem()).toBeUndefined();
  }, 20_000);

  test('a server that is away: calls fail in time with the reason, readiness says so', async () => {
    await server.kill();
    const startedMs = performance.now();
    const calls = [store.get('pods', 'a'), put('a'), redis.leases.acquire('leader', 'me', 1000)];
    for (const call of await Promise.allSettled(calls)) {
      expect(call).toMatchObject({ reason: expect.any(StoreUnavailable) });
      expect(String((call as PromiseRejectedResult).reason)).toContain('ECONNREFUSED');
    }
    expect(performance.now() - startedMs).toBeLessThan(callMs + 2_000);
    expect(redis.problem()).toContain('ECONNREFUSED');
    await server.start();
    await put('a');
    expect(redis.problem()).toBeUndefined();
  }, 20_000);

  test('a replica takes no writes, and takes them as soon as it is a master', async () => {
    await client.config('SET', 'replica-serve-stale-data', 'yes');
    await client.replicaof('127.0.0.1', 1);
    const writing = put('a', 'as master');
    await expect(client.set('x', 1)).rejects.toThrow('READONLY');
    await client.replicaof('NO', 'ONE');
    await writing;
    expect((await store.get('pods', 'a'))?.value).toBe('as master');
  });

  test('while a script of somebody else keeps it busy, calls wait', async () => {
    await client.config('SET', 'busy-reply-threshold', '50');
    const helper = client.duplicate();
    ending.add(() => helper.disconnect());
    await helper.ping();
    const endless = client.eval('while true do end', 0).catch((error: Error) => error);
    const busy = (): Promise<unknown> => helper.get('x').catch((error: Error) => error.message);
    while (!String(await busy()).startsWith('BUSY')) await soon();
    const [writing, reading] = [put('a', 'after it'), store.get('pods', 'a')];
    await soon();
    await helper.script('KILL');
    await endless;
    await writing;
    await reading;
    expect((await store.get('pods', 'a'))?.value).toBe('after it');
  });

  test('without memory nothing is written by half, and removing and leading go on', async () => {
    await put('a');
    const told = watch();
    const lease = await redis.leases.acquire('leader', 'me', 10_000);
    await client.config('SET', 'maxmemory', '1');
    await expect(put('b')).rejects.toThrow(/OOM/);
    await expect(put('b')).rejects.toThrow(StoreUnavailable);
    expect(lease && (await redis.leases.renew(lease, 10_000))).toBe(true);
    await store.remove('pods', 'a', 'anything');
    expect(await store.list('pods')).toEqual([]);
    await client.config('SET', 'maxmemory', '0');
    await put('c');
    await until(() => told.length >= 2);
    expect(told.map(({ id }) => id)).toEqual(['a', 'c']);
  });

  test('a wrong password is told', async () => {
    await client.config('SET', 'requirepass', 'secret');
    const opening = openTestRedis(server.url.replace('//', '//:wrong@'), { callMs: 500 });
    await expect(opening).rejects.toThrow(/WRONGPASS/);
    const right = await openTestRedis(server.url.replace('//', '//:secret@'));
    await right.store.put('pods', { id: 'a', value: 1 }, 'absent');
    right.close();
  }, 20_000);

  test('a user of its own needs its keys and no dangerous command; that CONFIG is refused is told', async () => {
    const rights = ['~{podgate}:*', '+@all', '-@dangerous', '+info'];
    await client.acl('SETUSER', 'podgate', 'on', '>secret', ...rights);
    const warnings: object[] = [];
    const log = { ...silent, warn: (fields: object) => void warnings.push(fields) };
    const url = server.url.replace('//', '//podgate:secret@');
    const limited = await openTestRedis(url, { log });
    const told = watch('pods', limited.store);
    await limited.store.put('pods', { id: 'a', value: 1 }, 'absent');
    await until(() => told.length === 1);
    expect(await limited.store.list('pods')).toHaveLength(1);
    expect(await limited.leases.acquire('leader', 'me', 1_000)).toBeDefined();
    limited.close();
    expect(warnings).toEqual([{ warning: expect.stringContaining('CONFIG GET is refused') }]);
    await client.acl('SETUSER', 'podgate', '+config|get');
    (await openTestRedis(url, { log })).close();
    expect(warnings).toHaveLength(1);
  });

  test('a server that would drop documents is refused, one that may lose some is warned of', async () => {
    const warnings: object[] = [];
    const log = { ...silent, warn: (fields: object) => void warnings.push(fields) };
    await client.config('SET', 'appendfsync', 'everysec');
    (await openTestRedis(server.url, { log })).close();
    expect(warnings).toEqual([{ warning: expect.stringContaining('appendfsync is everysec') }]);
    await client.config('SET', 'maxmemory', '100mb', 'maxmemory-policy', 'allkeys-lru');
    await expect(openTestRedis(server.url)).rejects.toThrow(UnsafeRedis);
    await expect(openTestRedis(server.url)).rejects.toThrow(/maxmemory-policy is allkeys-lru/);
  });

  test('closed, it fails at once and lets nobody wait', async () => {
    redis.close();
    await expect(store.get('pods', 'a')).rejects.toThrow(StoreUnavailable);
    await expect(put('a')).rejects.toThrow(StoreUnavailable);
  }, 2_000);
});
