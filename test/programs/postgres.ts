import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { debian } from './debian.ts';
import { freePort } from './ports.ts';

/** The folder of Postgres's programs, which Debian keeps out of PATH; installed if need be. */
export async function postgres(): Promise<string> {
  const base = '/usr/lib/postgresql';
  const versions = existsSync(base) ? readdirSync(base) : [];
  const found = versions
    .map((version) => `${base}/${version}/bin`)
    .find((folder) => existsSync(`${folder}/postgres`) && existsSync(`${folder}/psql`));
  return found ?? dirname(await debian(`${base}/15/bin/postgres`, 'postgresql-15'));
}

const nobody = 65_534;

/**
 * A Postgres on a free port of 127.0.0.1, which lets everybody in as `postgres`; `programs` is their
 * folder. It refuses to run as root, so it is nobody's where tests are root.
 */
export async function startPostgres(
  programs: string,
): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'podgate-postgres-'));
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(folder, nobody, nobody);
  const who = { cwd: folder, ...(isRoot ? { uid: nobody, gid: nobody } : {}) };
  const initdb = ['-D', 'data', '-U', 'postgres', '-A', 'trust', '-N'];
  execFileSync(`${programs}/initdb`, initdb, { ...who, stdio: 'ignore' });
  const port = await freePort();
  const argv = ['-D', 'data', '-h', '127.0.0.1', '-p', String(port)];
  const options = ['-c', 'unix_socket_directories='];
  const child = spawn(`${programs}/postgres`, [...argv, ...options], { ...who, stdio: 'ignore' });
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error('Postgres does not start');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const stop = async (): Promise<void> => {
    const gone = once(child, 'exit');
    // Its fast way to end: sessions are cut.
    if (child.kill('SIGINT')) await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  return { port, stop };
}

/** It listens before it lets anybody in. */
async function answers(port: number): Promise<boolean> {
  const terms = { host: '127.0.0.1', user: 'postgres', database: 'postgres' };
  const client = new Client({ ...terms, port }).on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end();
  }
}

/** The CancelRequest, in the clear, that ends what a session of npm's pg is at. */
export function cancelRequest(client: object): Buffer {
  const { processID, secretKey } = client as Readonly<Record<string, number>>;
  const request = Buffer.alloc(16);
  for (const [at, word] of [16, 80_877_102, processID ?? 0, secretKey ?? 0].entries()) {
    request.writeInt32BE(word, at * 4);
  }
  return request;
}

/** How many queries sleep now, as another session sees it. */
export async function sleepingQueries(watcher: Client): Promise<number> {
  const { rows } = await watcher.query<{ n: number }>(
    "select count(*)::int as n from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'",
  );
  return rows[0]?.n ?? 0;
}

/** A pod that makes a cluster of its own, whose superuser has the pod's own password. */
export const postgresPod = (podId: string, folder: string) => ({
  pod_id: podId,
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
