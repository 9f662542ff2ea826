import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone } from '../../integration/standalone.ts';
import { withHosts } from '../../programs/hosts.ts';
import { postgres, postgresPod } from '../../programs/postgres.ts';
import { available } from '../../programs/run.ts';
import type { Target } from '../drivers.ts';
import { driver, pythonDrivers } from '../drivers.ts';

const host = 'pgdb.pods.localhost';
const needed = await available('Postgres by its Python drivers', async () => ({
  folder: await postgres(),
  python: await pythonDrivers(),
}));
const resolving = await available('psycopg2 as Tapis documents it', () => withHosts(host));

describe.skipIf(!needed)('Postgres behind the gateway, by its Python drivers', () => {
  const { folder = '', python = '' } = needed ?? {};
  const program = (name: string) => [python, join(import.meta.dirname, name)];
  let podgate: Standalone;
  let target: Target;

  beforeAll(async () => {
    podgate = await Standalone.start();
    await podgate.pod(postgresPod('pgdb', folder));
    target = { host, user: 'postgres', password: await podgate.podPassword('pgdb') };
  });
  afterAll(() => podgate.stopAndForget());

  test.skipIf(!resolving)('psycopg2 connects exactly as in the Tapis documentation', async () => {
    const argv = [...(resolving ?? []), ...program('psycopg2_tapis.py')];
    const seen = await driver(argv, podgate, target);
    const answer = [500_500, true];
    expect(seen).toEqual({ default: answer, require: answer, 'verify-full': answer });
  });

  test('psycopg connects with sslnegotiation=direct', async () => {
    const seen = await driver(program('psycopg_direct.py'), podgate, target);
    expect(seen).toEqual({ encrypted: true, count: 10_000, word: 'word 9999' });
  });
});
