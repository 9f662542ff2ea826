import { join } from 'node:path';
import { z } from 'zod';
import type { Part } from '#contracts/admin.ts';
import type { Leases } from '#contracts/leases.ts';
import type { Random } from '#contracts/random.ts';
import type { Store } from '#contracts/store.ts';
import { collection, WriteConflict } from '#contracts/store.ts';
import { MemoryLeases } from '#adapters/memory/leases.ts';
import { openRedis } from '#adapters/redis/redis.ts';
import { openSqliteStore } from '#adapters/sqlite/store.ts';
import { BadSetting } from '../settings/group.ts';
import { readPem } from '../start/read-pem.ts';
import type { System } from '../start/system.ts';
import type { Settings } from './settings.ts';

interface OpenStore {
  readonly store: Store;
  readonly leases: Leases;
  /** Who we are when we take a lease. */
  readonly holder: string;
  /** What the operator is told of it. */
  readonly parts: readonly Part[];
}

/**
 * Opens documents and leases: in Redis where one is chosen, else in a file of the data directory. The
 * file is opened in any case: its lock keeps a second Podgate from the directory.
 */
export async function openStore(
  { data, redis: choice }: Settings,
  system: System,
  stack: AsyncDisposableStack,
): Promise<OpenStore> {
  const local = openSqliteStore(join(data.dir, 'podgate.db'));
  stack.defer(() => local.close());
  if (!choice) {
    if (await identities(local).get('redis')) {
      throw new BadSetting(
        'PODGATE_REDIS_URL is not set, and the documents of PODGATE_DATA_DIR are in a Redis: set it, or give another directory',
      );
    }
    // The store remembers the fences of earlier runs: tokens must go on from there.
    const leases = new MemoryLeases(system.clock, local.newestToken());
    return { store: local, leases, holder: 'standalone', parts: [] };
  }
  const { address, waitReplicas } = choice;
  const redis = await openRedis(
    { address, waitReplicas, ca: readPem('PODGATE_REDIS_CA_FILE', choice.caFile) },
    system,
  );
  stack.defer(() => redis.close());
  await bind(local, redis.store, system.random);
  // The directory's lock says that whoever held leases under its name is gone: no waiting for them.
  const holder = `standalone-${await ensureId(local, 'directory', system.random)}`;
  const parts = [{ name: 'store', problem: () => redis.problem() }];
  return { store: redis.store, leases: redis.leases, holder, parts };
}

const zIdentity = z.strictObject({ id: z.string() });
/** Which Redis this is; in a directory's file which one it belongs to, and which directory it is. */
const identities = (store: Store) => collection(store, 'identities', zIdentity);

/**
 * A directory belongs to one Redis: with another or an emptied one, the pods that run in it would be
 * wanted by nobody, and their files be deleted. Throws `BadSetting`.
 */
async function bind(local: Store, redis: Store, random: Random): Promise<void> {
  const bound = await identities(local).get('redis');
  if (!bound) {
    const { version } = await local.changesSince('', 0);
    if (version > 0) {
      throw new BadSetting(
        'PODGATE_REDIS_URL is set, and PODGATE_DATA_DIR holds the documents of a start without it: give another directory',
      );
    }
    const id = await ensureId(redis, 'redis', random);
    await identities(local).put('redis', { id }, 'absent');
    return;
  }
  const found = await identities(redis).get('redis');
  if (bound.value.id !== found?.value.id) {
    throw new BadSetting(
      'PODGATE_REDIS_URL names another Redis than PODGATE_DATA_DIR was used with, or it was emptied: restore it, or give another directory',
    );
  }
}

/** The identity of that name; the first to ask makes it. */
async function ensureId(store: Store, name: string, random: Random): Promise<string> {
  const id = random.bytes(16).toString('hex');
  try {
    await identities(store).put(name, { id }, 'absent');
    return id;
  } catch (error) {
    const first = error instanceof WriteConflict ? await identities(store).get(name) : undefined;
    if (!first) throw error;
    return first.value.id;
  }
}
