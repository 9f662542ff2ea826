import { admin } from '../settings/admin.ts';
import { api } from '../settings/api.ts';
import { certs } from '../settings/certs.ts';
import { data } from '../settings/data.ts';
import { gateway } from '../settings/gateway.ts';
import { kubernetes } from '../settings/kubernetes.ts';
import { log } from '../settings/log.ts';
import type { Choices } from '../settings/read.ts';
import { redis } from '../settings/redis.ts';
import { runtime } from '../settings/runtime.ts';
import { secrets } from '../settings/secrets.ts';
import { site } from '../settings/site.ts';

/** What standalone reads: all programs are in it. */
export const standaloneGroups = {
  site,
  certs,
  data,
  secrets,
  gateway,
  api,
  admin: admin(9100),
  runtime,
  kubernetes,
  redis,
  log,
};

export type Settings = Choices<typeof standaloneGroups>;
