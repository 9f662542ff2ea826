import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone } from './standalone.ts';

/** The folder of the server's programs; Debian keeps them out of PATH. */
function findPostgres(): string | undefined {
  const base = '/usr/lib/postgresql';
  if (!existsSync(base)) return undefined;
  return readdirSync(base)
    .map((version) => `${base}/${version}/bin`)
    .find((folder) => existsSync(`${folder}/postgres`) && existsSync(`${folder}/psql`));
}

/** Installs Debian's server where that is possible; the reason when it is not. */
function installPostgres(): string | undefined {
  if (findPostgres()) return undefined;
  if (!existsSync('/usr/bin/apt-get')) return 'this is no Debian machine and has no Postgres';
  if (process.getuid?.() !== 0) return 'Postgres is not installed and only root can install it';
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { env, stdio: 'pipe', timeout: 240_000 } as const;
  try {
    execFileSync('apt-get', ['update', '-q'], options);
    execFileSync(
      'apt-get',
      ['install', '-q', '-y', '--no-install-recommends', 'postgresql-15'],
      options,
    );
    return undefined;
  } catch (error) {
    return `apt-get could not install postgresql-15: ${String(error).slice(0, 200)}`;
  }
}

const missing = installPostgres();
if (missing) process.stderr.write(`\n*** SKIPPED: the Postgres tests, because ${missing} ***\n\n`);

describe.skipIf(missing)('a real Postgres behind the gateway', () => {
  let podgate: Standalone;
  let password = '';
  const host = 'pgdb.pods.localhost';
  const folder = findPostgres() ?? '';

  beforeAll(async () => {
    podgate = await Standalone.start();
    await podgate.pod({
      pod_id: 'pgdb',
      image: 'podgate/process',
      command: [
        'sh',
        '-c',
        'set -e; umask 077; printf %s "$POSTGRES_PASSWORD" > pw; ' +
          '"$BIN/initdb" -D data -U postgres -A scram-sha-256 --pwfile=pw -N >/dev/null; rm pw; ' +
          `exec "$BIN/postgres" -D data -h 127.0.0.1 -p "$PORT" -c unix_socket_directories=''`,
      ],
      environment_variables: { BIN: folder, POSTGRES_PASSWORD: '<<TAPIS_user_password>>' },
      networking: { default: { protocol: 'postgres', port: 5432 } },
    });
    const { envelope } = await podgate.call('GET', '/v3/pods/pgdb/credentials');
    password = String(envelope.result['user_password']);
  }, 120_000);
  afterAll(() => podgate.stopAndForget());

  async function psql(
    sql: string,
    options: { host?: string; input?: string } = {},
  ): Promise<{ code: number | null; out: string; err: string }> {
    const conninfo =
      `sslmode=verify-full sslrootcert=${podgate.caFile} host=${options.host ?? host} ` +
      `hostaddr=127.0.0.1 port=${podgate.ports.https} user=postgres dbname=postgres connect_timeout=10`;
    const child = spawn(
      `${folder}/psql`,
      ['-X', '-At', '-v', 'ON_ERROR_STOP=1', '-c', sql, conninfo],
      {
        env: { PATH: process.env['PATH'], PGPASSWORD: password },
      },
    );
    child.stdin.end(options.input ?? '');
    const [out, err, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close') as Promise<[number | null]>,
    ]);
    return { code, out, err };
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
