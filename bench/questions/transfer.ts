import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, GatewayOptions, PeerOptions, Subject } from '../bench.ts';
import { curlArguments, gib, parseCurl } from '../load/curl.ts';
import { cores } from '../machine/processes.ts';
import { cpuPerUnit, negotiated, usual } from '../measure.ts';
import type { Row, Table } from '../results.ts';
import type { Question } from './question.ts';

const seconds = 30; // at most, of one GiB
const unit = 'CPU seconds per GiB';

/** One GiB of zeros, which takes no room on disk. */
function bigFile(bench: Bench): string {
  const file = join(bench.folder, 'files', 'big');
  writeFileSync(file, '');
  truncateSync(file, gib);
  return file;
}

async function subjectsFor(
  bench: Bench,
  options: GatewayOptions & Pick<PeerOptions, 'mode'>,
): Promise<Subject[]> {
  const { mode = 'http', upstreamPort } = options;
  const subjects = await bench.gateways(options);
  for (const peer of ['nginx', 'haproxy']) {
    subjects.push(await bench.peer(peer, { mode, upstreamPort, name: peer }));
  }
  return subjects;
}

async function rowsOf(
  bench: Bench,
  subjects: readonly Subject[],
  { rounds, upload }: { readonly rounds: number; readonly upload?: string },
): Promise<Row[]> {
  return cpuPerUnit(subjects, { ...usual, rounds, scale: 1 }, async ({ port }) => {
    const argv = curlArguments(port, upload === undefined ? '/big' : '/', upload);
    return parseCurl(await bench.processes.output(argv, cores.rest, seconds * 1_000));
  });
}

/** One GiB down and one up, each way in rounds of its own. */
export async function transfers(
  bench: Bench,
  options: Omit<GatewayOptions, 'upstreamPort'> & Pick<PeerOptions, 'mode'>,
  rounds: number,
): Promise<Table[]> {
  const sources = await subjectsFor(bench, { ...options, upstreamPort: await bench.upstream() });
  const upload = bigFile(bench);
  const remarks = [await negotiated(sources, [])];
  const down = await rowsOf(bench, sources, { rounds });
  for (const { child } of sources) await bench.processes.stop(child);
  const sinks = await subjectsFor(bench, {
    ...options,
    upstreamPort: await bench.pod('upload.ts'),
  });
  const up = await rowsOf(bench, sinks, { rounds, upload });
  return [
    { id: 'down', title: 'Download', unit, rows: down, remarks },
    { id: 'up', title: 'Upload', unit, rows: up, remarks: [] },
  ];
}

export const transfer: Question = {
  name: 'transfer',
  title: 'One GiB down and up',
  about:
    'curl over HTTP/1.1 and TLS on one connection. Down from nginx (sendfile of a sparse file), up to a ' +
    'program that counts. nginx in the middle does not buffer uploads and has no temporary files.',
  tools: ['nginx', 'haproxy', 'curl'],
  run: async (bench, rounds = usual.rounds) => transfers(bench, {}, rounds),
};
