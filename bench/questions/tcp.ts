import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, Subject } from '../bench.ts';
import type { Load } from '../load/load.ts';
import { parsePgbench, pgbenchArguments } from '../load/pgbench.ts';
import { cores } from '../machine/processes.ts';
import { pathOf } from '../machine/tools.ts';
import { cpuPerUnit, negotiated, usual } from '../measure.ts';
import { podHost } from '../peers/peer.ts';
import type { Table } from '../results.ts';
import type { Question } from './question.ts';
import { transfers } from './transfer.ts';
import { postgres } from '../../test/programs/postgres.ts';

const connections = 16;

/** A cluster of its own with pgbench's tables. Returns its port. */
async function database(bench: Bench): Promise<number> {
  const bin = await postgres();
  const folder = join(bench.folder, 'postgres');
  mkdirSync(folder, { mode: 0o700 });
  const asUser = await unprivileged(bench, folder);
  const data = join(folder, 'data');
  const initdb = [`${bin}/initdb`, '-D', data, '-U', 'postgres', '-A', 'trust', '-N'];
  await bench.processes.output([...asUser, ...initdb], cores.rest, 60_000);
  const settings = ['-c', 'fsync=off', '-c', 'unix_socket_directories=', '-c', 'ssl=off'];
  const port = await bench.beside('postgres', (own) => [
    ...asUser,
    ...[`${bin}/postgres`, '-D', data, '-h', '127.0.0.1', '-p', String(own)].concat(settings),
  ]);
  const init = [
    pathOf('pgbench'),
    '-i',
    '-q',
    '-s',
    '1',
    `host=127.0.0.1 port=${port} user=postgres`,
  ];
  await bench.processes.output(init, cores.rest, 60_000);
  return port;
}

/** Postgres refuses to run as root. */
async function unprivileged(bench: Bench, folder: string): Promise<readonly string[]> {
  if (process.getuid?.() !== 0) return [];
  const id = async (flag: string): Promise<number> =>
    Number(await bench.processes.output(['id', flag, 'postgres'], cores.rest, 5_000));
  const [user, group] = [await id('-u'), await id('-g')];
  chownSync(folder, user, group);
  // The kernel forgets at a change of user whose end the program shall follow.
  const end = ['--pdeathsig', 'TERM', '--clear-groups', '--'];
  return ['setpriv', `--reuid=${user}`, `--regid=${group}`, ...end];
}

/** HAProxy on the load's core that puts pgbench's connections into TLS, as newer clients do at once. */
async function intoTls(bench: Bench, target: number): Promise<number> {
  return bench.beside(`tls-${target}`, (port) => {
    const file = join(bench.folder, `tls-${target}.cfg`);
    writeFileSync(
      file,
      `global
  nbthread 1
  ssl-server-verify none
defaults
  mode tcp
  timeout client 300s
  timeout server 300s
  timeout connect 5s
listen plain
  bind 127.0.0.1:${port}
  server target 127.0.0.1:${target} ssl sni str(${podHost})
`,
    );
    return [pathOf('haproxy'), '-db', '-f', file];
  });
}

const pgbench =
  (bench: Bench, where: (subject: Subject) => string) =>
  async (subject: Subject, seconds: number): Promise<Load> => {
    const argv = pgbenchArguments(connections, seconds, where(subject));
    const timeoutMs = (seconds + 20) * 1_000;
    const out = await bench.processes.output([pathOf('pgbench'), ...argv], cores.rest, timeoutMs);
    return { ...parsePgbench(out), seconds };
  };

const unit = 'CPU µs per transaction';

async function direct(bench: Bench, upstreamPort: number, rounds: number): Promise<Table> {
  const subjects = await bench.gateways({ upstreamPort, route: { protocol: 'tcp' } });
  for (const peer of ['nginx', 'haproxy']) {
    subjects.push(await bench.peer(peer, { upstreamPort, mode: 'tcp' }));
  }
  const ports = new Map<Subject, number>();
  for (const subject of subjects) ports.set(subject, await intoTls(bench, subject.port));
  const where = (subject: Subject): string =>
    `host=127.0.0.1 port=${ports.get(subject) ?? 0} user=postgres sslmode=disable`;
  const remarks = [await negotiated(subjects, [])];
  const rows = await cpuPerUnit(subjects, { ...usual, rounds }, pgbench(bench, where));
  for (const { child } of subjects) await bench.processes.stop(child);
  return { id: 'pgbench', title: 'pgbench in TLS from the first byte', unit, rows, remarks };
}

const byRequest = ({ port }: Subject): string =>
  `hostaddr=127.0.0.1 host=${podHost} port=${port} user=postgres sslmode=require`;

async function asked(bench: Bench, upstreamPort: number, rounds: number): Promise<Table> {
  const subjects = await bench.gateways({ upstreamPort, route: { protocol: 'postgres' } });
  const rows = await cpuPerUnit(subjects, { ...usual, rounds }, pgbench(bench, byRequest));
  for (const { child } of subjects) await bench.processes.stop(child);
  const remarks = ['nginx and HAProxy cannot answer SSLRequest, so nobody stands beside it.'];
  return { id: 'sslrequest', title: 'pgbench with sslmode=require', unit, rows, remarks };
}

export const tcp: Question = {
  name: 'tcp',
  title: 'TCP splice',
  about:
    'TLS ends at the gateway, the bytes within go to the pod that the server name says. pgbench: 16 ' +
    'connections, prepared selects, a real Postgres; a client-side HAProxy on the load’s core puts them ' +
    'into TLS, since this pgbench cannot do so without SSLRequest. Then one GiB each way by curl.',
  tools: ['nginx', 'nginx-stream', 'haproxy', 'pgbench', 'curl'],
  async run(bench, rounds = usual.rounds) {
    const port = await database(bench);
    const tables = [await direct(bench, port, rounds), await asked(bench, port, rounds)];
    return [
      ...tables,
      ...(await transfers(bench, { mode: 'tcp', route: { protocol: 'tcp' } }, rounds)),
    ];
  },
};
