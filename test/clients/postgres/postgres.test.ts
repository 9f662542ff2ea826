import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone, until } from '../../integration/standalone.ts';
import { withHosts } from '../../programs/hosts.ts';
import { postgres, postgresPod } from '../../programs/postgres.ts';
import { available, run } from '../../programs/run.ts';
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

  test('a pod from the template postgres keeps its data over a restart', async () => {
    await podgate.pod({ pod_id: 'fromseed', template: 'postgres' }, 60_000);
    const seeded = {
      PATH: process.env['PATH'],
      PGPASSWORD: await podgate.podPassword('fromseed'),
    };
    const conninfo =
      `host=fromseed.pods.localhost hostaddr=127.0.0.1 port=${podgate.ports.https} user=fromseed ` +
      `dbname=postgres sslmode=verify-full sslrootcert=${podgate.caFile}`;
    const sql = async (query: string): Promise<string> => {
      const argv = [`${folder}/psql`, '-X', '-At', '-c', query, conninfo];
      const { code, out, err } = await run(argv, { env: seeded });
      expect(code, err).toBe(0);
      return out.trim();
    };
    await sql('create table kept as select 42 as answer');
    await podgate.call('GET', '/v3/pods/fromseed/stop');
    await podgate.state('fromseed', 'STOPPED');
    await podgate.call('GET', '/v3/pods/fromseed/start');
    await podgate.state('fromseed', 'AVAILABLE', 60_000);
    expect(await sql('select answer from kept')).toBe('42');
  });

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

  test('drivers cancel a query, in the clear and inside TLS', async () => {
    const queryCanceled = '57014';
    const seen = await driver(program('cancel.py'), podgate, target);
    expect(seen).toEqual({ psycopg2: queryCanceled, psycopg: queryCanceled });
  });

  test('Ctrl-C in psql cancels the query', async () => {
    const conninfo =
      `host=${host} hostaddr=127.0.0.1 port=${podgate.ports.https} user=postgres dbname=postgres ` +
      `sslmode=verify-full sslrootcert=${podgate.caFile}`;
    const env = { PATH: process.env['PATH'], PGPASSWORD: target.password };
    const sql = 'select pg_sleep(600)';
    const psql = spawn(`${folder}/psql`, ['-X', '-c', sql, conninfo], { env });
    const output = Promise.all([text(psql.stderr), once(psql, 'close')]);
    const active = `select count(*) from pg_stat_activity where query = '${sql}' and state = 'active'`;
    await until(async () => {
      const { out } = await run([`${folder}/psql`, '-X', '-At', '-c', active, conninfo], { env });
      return out === '1\n';
    });
    psql.kill('SIGINT');
    const [err] = await output;
    expect(err).toContain('canceling statement due to user request');
  });
});
