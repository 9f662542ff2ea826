import { resolve } from 'node:path';
import { z } from 'zod';
import type { NatsAddress } from '#adapters/nats/address.ts';
import { BadNatsUrl, parseNatsUrl } from '#adapters/nats/address.ts';
import { text } from './fields.ts';
import { BadSetting, group } from './group.ts';

export interface NatsChoice {
  readonly address: NatsAddress;
  /** A credentials file (JWT and seed), instead of a user and password. */
  readonly credsFile: string | undefined;
  /** PEM; undefined: the machine's authorities. */
  readonly caFile: string | undefined;
  /** How many servers keep the routes. */
  readonly replicas: number;
}

const natsUrl = z.string().transform((url, context) => {
  try {
    return parseNatsUrl(url);
  } catch (error) {
    if (!(error instanceof BadNatsUrl)) throw error;
    context.addIssue(error.message);
    return z.NEVER;
  }
});

/** Where the programs of a cluster tell each other what is new. */
export const nats = group({
  shape: {
    PODGATE_NATS_URL: natsUrl.optional(),
    PODGATE_NATS_CREDS_FILE: text.optional(),
    PODGATE_NATS_CA_FILE: text.optional(),
    PODGATE_NATS_REPLICAS: z.coerce
      .number('must be a number of servers')
      .int('must be a whole number')
      .min(1, 'must be at least 1')
      .max(5, 'must be at most 5')
      .default(1),
  },
  secrets: ['PODGATE_NATS_URL'],
  choose: (values): NatsChoice => {
    const address = values.PODGATE_NATS_URL;
    if (!address) {
      throw new BadSetting(
        'PODGATE_NATS_URL is not set: programs that run alone meet at a NATS server, such as nats://host:4222',
      );
    }
    const { PODGATE_NATS_CREDS_FILE: creds, PODGATE_NATS_CA_FILE: ca } = values;
    if (ca !== undefined && !address.tls) {
      throw new BadSetting('PODGATE_NATS_CA_FILE is set: PODGATE_NATS_URL must begin with tls');
    }
    if (creds !== undefined && address.username !== undefined) {
      throw new BadSetting(
        'PODGATE_NATS_CREDS_FILE is set, and PODGATE_NATS_URL names a user: only one of them can be',
      );
    }
    return {
      address,
      credsFile: creds && resolve(creds),
      caFile: ca && resolve(ca),
      replicas: values.PODGATE_NATS_REPLICAS,
    };
  },
});
