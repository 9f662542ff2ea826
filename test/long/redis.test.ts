import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { OpenRedis } from '../../adapters/redis/redis.ts';
import { FencedOff, StoreUnavailable, WriteOutcomeUnknown } from '../../contracts/store.ts';
import { storeConforms } from '../conformance/store.ts';
import { until } from '../integration/standalone.ts';
import { openTestRedis } from '../programs/redis-store.ts';
import { redisProgram, RedisServer } from '../programs/redis.ts';
import { available } from '../programs/run.ts';

/** Redis as it is when one server is not enough: Sentinel and Cluster, with masters that die. */

const program = (await available('Redis with failover', redisProgram)) ?? '';
const quick = ['--repl-diskless-sync-delay', '0'];

/** Writes without end, of several callers; what each was told is kept. */
class Writers {
  readonly answered = new Map<string, number>();
  readonly undone: string[] = [];
  readonly #over = new AbortController();
  readonly #done: Promise<unknown>;
  #next = 0;

  constructor({ store }: OpenRedis) {
    this.#done = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (!this.#over.signal.aborted) {
          const id = `id-${(this.#next += 1)}`;
          try {
            this.answered.set(id, await store.put('pods', { id, value: id }, 'absent'));
          } catch (error) {
            if (error instanceof StoreUnavailable) this.undone.push(id);
            else if (!(error instanceof WriteOutcomeUnknown)) throw error;
          }
        }
      }),
    );
  }

  /** Resolves after so many more answered writes. */
  async go(count: number): Promise<void> {
    const enough = this.answered.size + count;
    await until(() => this.answered.size >= enough, undefined, 60_000);
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#done;
  }
}

/** Every id that a watcher is told. */
function told({ store }: OpenRedis, signal: AbortSignal): ReadonlySet<string> {
  const ids = new Set<string>();
  const changes = store.watch('pods', signal);
  void (async () => {
    for await (const { id } of changes) ids.add(id);
  })();
  return ids;
}

/** All that was answered is there and was told; nothing that was said not to have happened is. */
async function expectHonest(
  redis: OpenRedis,
  { answered, undone }: Writers,
  ids: ReadonlySet<string>,
): Promise<void> {
  const listed = new Map(
    (await redis.store.list('pods')).map(({ id, version }) => [id, version] as const),
  );
  for (const [id, version] of answered) expect([id, listed.get(id)]).toEqual([id, version]);
  expect(undone.filter((id) => listed.has(id))).toEqual([]);
  await until(() => [...listed.keys()].every((id) => ids.has(id)));
}

const passwords = { servers: 'of-the-servers', sentinels: 'of-the-sentinels' };

describe.skipIf(!program).each([
  ['Redis with three Sentinels', undefined],
  ['the same with passwords', passwords],
])('%s', (_name, secret) => {
  const servers: RedisServer[] = [];
  let url = '';
  let master: RedisServer;

  beforeAll(async () => {
    const guarded = secret ? ['--requirepass', secret.servers, '--masterauth', secret.servers] : [];
    master = await RedisServer.start(program, ...quick, ...guarded);
    const source = ['--replicaof', '127.0.0.1', String(master.port), ...guarded];
    const replicas = await Promise.all(
      [1, 2].map(() => RedisServer.start(program, ...quick, ...source)),
    );
    const client = master.client();
    await until(async () => /connected_slaves:2/.test(await client.info('replication')));
    const sentinels = await Promise.all(
      [1, 2, 3].map(() => RedisServer.sentinel(program, master.port, secret)),
    );
    servers.push(...sentinels, master, ...replicas);
    const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',');
    url = secret
      ? `redis+sentinel://:${secret.servers}@${hosts}/main?sentinel_password=${secret.sentinels}`
      : `redis+sentinel://${hosts}/main`;
    for (const sentinel of sentinels) {
      const asked = sentinel.client();
      const knows = async (word: string, count: number): Promise<boolean> => {
        const found = await asked.call('sentinel', word, 'main');
        return Array.isArray(found) && found.length === count;
      };
      await until(async () => (await knows('sentinels', 2)) && (await knows('replicas', 2)));
    }
  });
  afterAll(() => Promise.all(servers.map((server) => server.stop())));

  test.runIf(secret)('nobody gets in without both passwords', async () => {
    for (const wrong of [url.replace('of-the-servers', 'x'), url.replace(/\?.*/, '')])
      await expect(openTestRedis(wrong, { callMs: 1_500 })).rejects.toThrow(StoreUnavailable);
  });

  test('when the master dies, and when it hangs, the next takes over and nothing answered is lost', async () => {
    const abort = new AbortController();
    const redis = await openTestRedis(url, { waitReplicas: 1 });
    const watched = told(redis, abort.signal);
    const lease = await redis.leases.acquire('leader', 'old', 1_000);
    const writers = new Writers(redis);
    await writers.go(300);
    await master.kill();
    await writers.go(300);
    const later = await redis.leases.acquire('leader', 'new', 60_000);
    expect(later?.token).toBeGreaterThan(lease?.token ?? Infinity);

    // It comes back as a replica; then the one that took over hangs.
    await master.start();
    const second = await currentMaster();
    expect(second.port).not.toBe(master.port);
    const client = second.client();
    await until(
      async () => /connected_slaves:2/.test(await client.info('replication')),
      undefined,
      60_000,
    );
    await until(async () => (await known('replicas')) >= 2);
    await second.kill('SIGSTOP');
    await writers.go(300);
    await second.kill('SIGCONT');
    await writers.go(300);
    await writers.stop();
    await expectHonest(redis, writers, watched);
    abort.abort();
    redis.close();
  });

  async function currentMaster(): Promise<RedisServer> {
    const address = await servers[0]?.client().call('sentinel', 'get-master-addr-by-name', 'main');
    const port = Number(Array.isArray(address) ? address[1] : 0);
    const found = servers.find((server) => server.port === port);
    if (!found) throw new Error(`no server at ${port}`);
    return found;
  }

  async function known(word: string): Promise<number> {
    const found = await servers[0]?.client().call('sentinel', word, 'main');
    return Array.isArray(found) ? found.length : 0;
  }
});

/** The node that has our keys: it answers instead of saying where they moved. */
async function ownerOf(candidates: readonly RedisServer[]): Promise<RedisServer> {
  for (const node of candidates) {
    const role = await node
      .client()
      .call('role')
      .catch(() => []);
    const answer = await node
      .client()
      .exists('{podgate}:newest')
      .catch(() => undefined);
    if (answer !== undefined && Array.isArray(role) && role[0] === 'master') return node;
  }
  throw new Error('nobody has the keys');
}

/** As redis-cli --cluster reshard does it, one key after the other, with a pause that writes run into. */
async function moveSlot(from: RedisServer, to: RedisServer): Promise<void> {
  const slot = String(await from.client().cluster('KEYSLOT', '{podgate}'));
  const fromId = await from.client().cluster('MYID');
  const toId = await to.client().cluster('MYID');
  const setSlot = async (node: RedisServer, ...words: string[]): Promise<unknown> =>
    node.client().call('cluster', 'SETSLOT', slot, ...words);
  await setSlot(to, 'IMPORTING', fromId);
  await setSlot(from, 'MIGRATING', toId);
  for (;;) {
    const keys = await from.client().call('cluster', 'GETKEYSINSLOT', slot, '1');
    if (!Array.isArray(keys) || keys.length === 0) break;
    const target = ['127.0.0.1', String(to.port), '', '0', '5000'];
    await from.client().call('migrate', ...target, 'KEYS', ...keys.map(String));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await setSlot(to, 'NODE', toId);
  await setSlot(from, 'NODE', toId);
}

describe.skipIf(!program)('a Redis Cluster of three masters', () => {
  const nodes: RedisServer[] = [];
  const opened: OpenRedis[] = [];
  let url = '';

  beforeAll(async () => {
    const cluster = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1500', ...quick];
    for (let count = 0; count < 5; count += 1) {
      nodes.push(await RedisServer.start(program, ...cluster));
    }
    const masters = nodes.slice(0, 3);
    const [first] = nodes;
    for (const node of nodes.slice(1)) {
      await node.client().cluster('MEET', '127.0.0.1', Number(first?.port));
    }
    const bounds = [0, 5461, 10_923, 16_384];
    for (const [index, node] of masters.entries()) {
      const range = [Number(bounds[index]), Number(bounds[index + 1]) - 1];
      await node.client().call('cluster', 'ADDSLOTSRANGE', ...range.map(String));
    }
    const all = async (word: RegExp): Promise<boolean> => {
      const infos = nodes.map(async (node) => word.test(await node.client().cluster('INFO')));
      return (await Promise.all(infos)).every(Boolean);
    };
    await until(() => all(/cluster_state:ok[^]*cluster_known_nodes:5/), undefined, 60_000);
    const owner = await ownerOf(masters);
    const ownerId = await owner.client().cluster('MYID');
    for (const replica of nodes.slice(3)) {
      await replica.client().call('cluster', 'REPLICATE', ownerId);
    }
    await until(async () => /connected_slaves:2/.test(await owner.client().info('replication')));
    // Two of them are enough to find the others.
    url = `redis+cluster://127.0.0.1:${nodes[0]?.port},127.0.0.1:${nodes[1]?.port}`;
  });
  afterEach(async () => {
    for (const redis of opened.splice(0)) redis.close();
    await (await ownerOf(nodes)).client().flushall();
  });
  afterAll(() => Promise.all(nodes.map((node) => node.stop())));

  async function open(waitReplicas = 0): Promise<OpenRedis> {
    const redis = await openTestRedis(url, { waitReplicas });
    opened.push(redis);
    return redis;
  }

  storeConforms('RedisStore in a cluster', async () => (await open()).store);
  storeConforms('RedisStore in a cluster, with replicas', async () => (await open(1)).store);

  test('leases are held, and fence', async () => {
    const { leases, store } = await open();
    const first = await leases.acquire('leader', 'a', 60_000);
    expect(await leases.acquire('leader', 'b', 60_000)).toBeUndefined();
    if (!first) throw new Error('not free');
    await leases.release(first);
    const second = await leases.acquire('leader', 'b', 60_000);
    if (!second) throw new Error('not free');
    const write = (token: number) =>
      store.put('pods', { id: 'a', value: 1 }, 'anything', { lease: 'leader', token });
    await write(second.token);
    await expect(write(first.token)).rejects.toThrow(FencedOff);
  });

  test('when the node with the keys dies, a replica takes over and nothing answered is lost', async () => {
    const redis = await open(1);
    const abort = new AbortController();
    const watched = told(redis, abort.signal);
    const writers = new Writers(redis);
    await writers.go(300);
    const owner = await ownerOf(nodes);
    await owner.kill();
    await writers.go(300);
    await owner.start();
    await writers.go(300);
    await writers.stop();
    expect(await ownerOf(nodes)).not.toBe(owner);
    await expectHonest(redis, writers, watched);
    abort.abort();
  });

  test('when the slot of the keys is moved to another node, nothing answered is lost', async () => {
    const redis = await open();
    const abort = new AbortController();
    const watched = told(redis, abort.signal);
    const writers = new Writers(redis);
    await writers.go(300);
    const from = await ownerOf(nodes);
    const to = await otherMaster(from);
    await moveSlot(from, to);
    expect(await ownerOf(nodes)).toBe(to);
    await writers.go(300);
    // And back, so that it is no matter of a fresh node.
    await moveSlot(to, from);
    await writers.go(300);
    await writers.stop();
    expect(writers.undone).toEqual([]);
    await expectHonest(redis, writers, watched);
    abort.abort();
  });

  async function otherMaster(than: RedisServer): Promise<RedisServer> {
    for (const node of nodes) {
      const role = await node.client().call('role');
      if (node !== than && Array.isArray(role) && role[0] === 'master') return node;
    }
    throw new Error('there is no other master');
  }
});
