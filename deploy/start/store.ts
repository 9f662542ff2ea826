import { hostname } from 'node:os';
import type { Part } from '#contracts/admin.ts';
import type { Leases } from '#contracts/leases.ts';
import type { Store } from '#contracts/store.ts';
import { connectRedis } from '#adapters/redis/redis.ts';
import { BadSetting } from '../settings/group.ts';
import type { RedisChoice } from '../settings/redis.ts';
import type { Life } from './program.ts';
import type { Starting } from './patience.ts';
import { startPatiently } from './patience.ts';
import { readPem } from './read-pem.ts';
import type { System } from './system.ts';

/** Documents and leases, which may be away at any time. */
export interface SharedStore {
  readonly store: Store;
  readonly leases: Leases;
  /** Its `started` resolves when the store is there for the first time. */
  readonly part: Starting<Part>;
}

/** The Redis where the programs of a cluster meet. Throws `BadSetting`. */
export function openSharedStore(
  choice: RedisChoice | undefined,
  system: System,
  { stack, signal }: Life,
): SharedStore {
  if (!choice) {
    throw new BadSetting(
      'PODGATE_REDIS_URL is not set: programs that run alone meet in a Redis, such as redis://host:6379',
    );
  }
  const { address, waitReplicas } = choice;
  const redis = connectRedis(
    { address, waitReplicas, ca: readPem('PODGATE_REDIS_CA_FILE', choice.caFile) },
    system,
  );
  stack.defer(() => redis.close());
  const start = async (): Promise<Part> => {
    await redis.start();
    return { name: 'store', problem: () => redis.problem() };
  };
  const starting = startPatiently('store', start, system, signal);
  // Before it was there the connection knows best why it is not.
  const part = { ...starting, problem: () => redis.problem() ?? starting.problem() };
  return { store: redis.store, leases: redis.leases, part };
}

/** Names this run of a program among all: for leases and on the bus. */
export const instanceName = ({ random }: System): string =>
  `${hostname().replaceAll(/[^\w-]/g, '-')}-${random.bytes(6).toString('hex')}`;
