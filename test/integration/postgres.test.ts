import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { cancelRequest, postgres, postgresPod, sleepingQueries } from '../programs/postgres.ts';
import type { Finished } from '../programs/run.ts';
import { available, run } from '../programs/run.ts';
import { Standalone, until } from './standalone.ts';

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
  // One that stays would keep Postgres from stopping.
  const clients: Client[] = [];
  afterEach(() => Promise.all(clients.splice(0).map((client) => client.end())));
  afterAll(() => podgate.stopAndForget());

  const conninfo = (to: string = host): string =>
    `sslmode=verify-full sslrootcert=${podgate.caFile} host=${to} ` +
    `hostaddr=127.0.0.1 port=${podgate.ports.https} user=postgres dbname=postgres connect_timeout=10`;

  async function psql(
    sql: string,
    options: { host?: string; conninfo?: string; input?: string } = {},
  ): Promise<Finished> {
    const target = options.conninfo ?? conninfo(options.host);
    const argv = [`${folder}/psql`, '-X', '-At', '-v', 'ON_ERROR_STOP=1', '-c', sql, target];
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
    const client = await connected();
    const { rows } = await client.query('select generate_series(1, 1000) as n');
    expect(rows).toHaveLength(1000);
  });

  /** A client of npm's pg, connected. */
  async function connected(): Promise<Client> {
    const client = new Client({
      host: '127.0.0.1',
      port: podgate.ports.https,
      user: 'postgres',
      password,
      database: 'postgres',
      ssl: { ca: podgate.ca, servername: host, rejectUnauthorized: true },
    });
    clients.push(client);
    await client.connect();
    return client;
  }

  // The kernel spreads connections over the two workers: ten sessions and their cancels, each at one
  // of two, stay within their own worker once in a thousand runs, and would pass then.
  test('CancelRequest in the clear ends the query, at whichever workers the two arrive', async () => {
    const watcher = await connected();
    for (let turn = 0; turn < 10; turn += 1) {
      const client = await connected();
      const query = client.query('select pg_sleep(60)').then(
        () => 'done',
        (error: Error) => error.message,
      );
      await until(async () => (await sleepingQueries(watcher)) === 1);
      const canceller = net.connect(podgate.ports.https, '127.0.0.1').resume();
      canceller.write(cancelRequest(client));
      await once(canceller, 'close'); // says that Postgres has taken it in
      expect(await query).toBe('canceling statement due to user request');
      expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    }
  });

  test('psql’s Ctrl-C ends the query and nothing else', async () => {
    const watcher = await connected();
    const bystander = (await connected()).query('select pg_sleep(2), 7 as seven');
    const argv = ['-X', '-c', 'select pg_sleep(60)', conninfo()];
    const child = spawn(`${folder}/psql`, argv, {
      env: { PATH: process.env['PATH'], PGPASSWORD: password, LANG: 'C.UTF-8' },
    });
    const said = text(child.stderr);
    await until(async () => (await sleepingQueries(watcher)) === 2);
    child.kill('SIGINT');
    expect(await said).toContain('canceling statement due to user request');
    expect((await bystander).rows).toMatchObject([{ seven: 7 }]);
  });

  test('a cancel with another key, or for a session that is over, changes nothing', async () => {
    const watcher = await connected();
    const client = await connected();
    const query = client.query('select pg_sleep(2), 7 as seven');
    await until(async () => (await sleepingQueries(watcher)) === 1);
    const { processID } = client as unknown as Record<string, number>;
    const request = Buffer.alloc(16);
    for (const [at, word] of [16, 80_877_102, processID ?? 0, 1].entries()) {
      request.writeInt32BE(word, at * 4);
    }
    const stranger = net.connect(podgate.ports.https, '127.0.0.1').resume();
    stranger.write(request);
    await once(stranger, 'close');
    expect((await query).rows).toMatchObject([{ seven: 7 }]);
  });

  test('libpq shows why: no name in TLS, no pod, not allowed', async () => {
    const bare = conninfo().replace(`host=${host}`, 'host=127.0.0.1');
    const unnamed = await psql('select 1', { conninfo: bare.replace('verify-full', 'require') });
    expect(unnamed.err).toContain('no SNI: use sslmode=require with libpq 14 or newer');
    const nobody = await psql('select 1', { host: 'other.pods.localhost' });
    expect(nobody.err).toContain('there is no pod at other.pods.localhost');
    const plain = await psql('select 1', { conninfo: bare.replace('verify-full', 'disable') });
    expect(plain.err).toContain('use sslmode=require or stricter');
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
