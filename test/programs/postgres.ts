import { existsSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { debian } from './debian.ts';

/** The folder of Postgres's programs, which Debian keeps out of PATH; installed if need be. */
export async function postgres(): Promise<string> {
  const base = '/usr/lib/postgresql';
  const versions = existsSync(base) ? readdirSync(base) : [];
  const found = versions
    .map((version) => `${base}/${version}/bin`)
    .find((folder) => existsSync(`${folder}/postgres`) && existsSync(`${folder}/psql`));
  return found ?? dirname(await debian(`${base}/15/bin/postgres`, 'postgresql-15'));
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
