import { resolve } from 'node:path';
import { z } from 'zod';
import type { RedisAddress } from '#adapters/redis/address.ts';
import { BadRedisUrl, parseRedisUrl } from '#adapters/redis/address.ts';
import { text } from './fields.ts';
import { BadSetting, group } from './group.ts';

export interface RedisChoice {
  readonly address: RedisAddress;
  /** PEM; undefined: the machine's authorities. */
  readonly caFile: string | undefined;
  /** Replicas that must have a write before it is answered. */
  readonly waitReplicas: number;
}

const redisUrl = z.string().transform((url, context) => {
  try {
    return parseRedisUrl(url);
  } catch (error) {
    if (!(error instanceof BadRedisUrl)) throw error;
    context.addIssue(error.message);
    return z.NEVER;
  }
});

const shape = {
  PODGATE_REDIS_URL: redisUrl.optional(),
  PODGATE_REDIS_CA_FILE: text.optional(),
  PODGATE_REDIS_WAIT_REPLICAS: z.coerce
    .number('must be a number of replicas')
    .int('must be a whole number')
    .min(0, 'must not be negative')
    .max(10, 'must be at most 10')
    .optional(),
};

/** Where documents and leases are; undefined: in a file of the data directory. */
export const redis = group({
  shape,
  secrets: ['PODGATE_REDIS_URL'],
  choose: (values): RedisChoice | undefined => {
    const { PODGATE_REDIS_URL: address, PODGATE_REDIS_WAIT_REPLICAS: waitReplicas } = values;
    const { PODGATE_REDIS_CA_FILE: caFile } = values;
    // What is said of a Redis must be of one that is used.
    if (caFile !== undefined && !address?.tls) {
      throw new BadSetting(
        'PODGATE_REDIS_CA_FILE is set: PODGATE_REDIS_URL must begin with rediss',
      );
    }
    if (waitReplicas !== undefined && !address) {
      throw new BadSetting('PODGATE_REDIS_WAIT_REPLICAS is set: PODGATE_REDIS_URL must be as well');
    }
    return (
      address && { address, caFile: caFile && resolve(caFile), waitReplicas: waitReplicas ?? 0 }
    );
  },
});
