import { admin } from './admin.ts';
import { apiAddress } from './api-address.ts';
import { api } from './api.ts';
import { certs } from './certs.ts';
import { nats } from './nats.ts';
import { data } from './data.ts';
import { gateway } from './gateway.ts';
import type { Group } from './group.ts';
import { kubernetes } from './kubernetes.ts';
import { log } from './log.ts';
import { redis } from './redis.ts';
import { runtime } from './runtime.ts';
import { secrets } from './secrets.ts';
import { site } from './site.ts';

/** Every group there is. A program reads those it needs and overlooks the names of the others. */
const groups: readonly Group[] = [
  admin(1),
  api,
  apiAddress,
  nats,
  certs,
  data,
  gateway,
  kubernetes,
  log,
  redis,
  runtime,
  secrets,
  site,
];

/** Settings that nothing we start may inherit. */
export const secretNames: readonly string[] = groups.flatMap((each) => each.secrets);

/** Every setting there is. */
export const settingNames: ReadonlySet<string> = new Set(
  groups.flatMap(({ shape }) => Object.keys(shape)),
);
