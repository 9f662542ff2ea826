import type { Log } from '../../contracts/log.ts';
import { parseRedisUrl } from '../../adapters/redis/address.ts';
import type { OpenRedis } from '../../adapters/redis/redis.ts';
import { openRedis } from '../../adapters/redis/redis.ts';
import { systemClock } from '../../adapters/system/clock.ts';

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

interface Choices {
  readonly log?: Log;
  readonly ca?: string;
  readonly waitReplicas?: number;
  readonly callMs?: number;
}

/** Store and leases in the Redis of this URL, as a program opens them but for what is given. */
export const openTestRedis = (
  url: string,
  { log = silent, ca, waitReplicas = 0, callMs }: Choices = {},
): Promise<OpenRedis> =>
  openRedis({ address: parseRedisUrl(url), ca, waitReplicas }, { clock: systemClock, log }, callMs);
