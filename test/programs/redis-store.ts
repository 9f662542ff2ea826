import type { Log } from '../../contracts/log.ts';
import { parseRedisUrl } from '../../adapters/redis/address.ts';
import type { OpenRedis } from '../../adapters/redis/redis.ts';
import { openRedis } from '../../adapters/redis/redis.ts';
import { systemClock } from '../../adapters/system/clock.ts';

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Store and leases in the Redis of this URL, as a program opens them; further settings as given. */
export const openTestRedis = (
  url: string,
  { log = silent, ca, waitReplicas = 0 }: { log?: Log; ca?: string; waitReplicas?: number } = {},
): Promise<OpenRedis> =>
  openRedis({ address: parseRedisUrl(url), ca, waitReplicas }, { clock: systemClock, log });
