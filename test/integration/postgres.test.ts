import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { postgres, postgresPod } from '../programs/postgres.ts';
import type { Finished } from '../programs/run.ts';
import { available, run } from '../programs/run.ts';
import { Standalone } from './standalone.ts';

const folder = (await available('the Postgres tests', postgres)) ?? '';

describe.skipIf(!folder)('a real Postgres behind the gateway', () => {
  let podgate: Standalone;
  let password = '';
  const host = 'pgdb.pods.localhost';

  beforeAll(async () => {
    podgate = await Standalone.start();
    await podgate.pod(postgresPod('pgdb', folder));
    password = await podgate.podPassword('pgdb');
  }, 120_000);
  afterAll(() => podgate.stopAndForget());

  async function psql(
    sql: string,
    options: { host?: string; input?: string } = {},
  ): Promise<Finished> {
    const conninfo =
      `sslmode=verify-full sslrootcert=${podgate.caFile} host=${options.host ?? host} ` +
      `hostaddr=127.0.0.1 port=${podgate.ports.https} user=postgres dbname=postgres connect_timeout=10`;
    const argv = [`${folder}/psql`, '-X', '-At', '-v', 'ON_ERROR_STOP=1', '-c', sql, conninfo];
    return run(argv, { env: { PGPASSWORD: password }, input: options.input ?? '' });
  }

  test('psql connects with sslmode=verify-full and runs a query', async () => {
    expect(await psql('select 6 * 7')).toMatchObject({ code: 0, out: '42\n' });
    expect((await psql('select version()')).out).toContain('PostgreSQL 15');
  });

  test('10,000 rows are copied in and out as they were', async () => {
    const rows = Array.from(
      { length: 10_000 },
      (_, row) => `${row}\trow ${row} ${'x'.repeat(row % 90)}`,
    );
    const input = `${rows.join('\n')}\n`;
    expect((await psql('create table t (id int primary key, name text)')).code).toBe(0);
    expect((await psql('copy t from stdin', { input })).code).toBe(0);
    const copied = await psql('copy (select * from t order by id) to stdout');
    expect(copied.out).toBe(input);
  });

  test('the pg client of npm connects by servername and queries', async () => {
    const client = new Client({
      host: '127.0.0.1',
      port: podgate.ports.https,
      user: 'postgres',
      password,
      database: 'postgres',
      ssl: { ca: podgate.ca, servername: host, rejectUnauthorized: true },
    });
    await client.connect();
    const { rows } = await client.query('select generate_series(1, 1000) as n');
    expect(rows).toHaveLength(1000);
    await client.end();
  });

  test('a host that is no pod is refused, and so is a name outside the domain', async () => {
    expect((await psql('select 1', { host: 'other.pods.localhost' })).code).not.toBe(0);
    expect((await psql('select 1', { host: 'example.org' })).code).not.toBe(0);
  });

  test('a stopped database says so in its own protocol', async () => {
    await podgate.call('GET', '/v3/pods/pgdb/stop');
    await podgate.state('pgdb', 'STOPPED');
    const { code, err } = await psql('select 1');
    expect(code).not.toBe(0);
    expect(err).toMatch(/stopped/i);
  });
});
