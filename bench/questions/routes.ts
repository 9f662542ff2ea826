import { once } from 'node:events';
import type { Route } from '#contracts/route.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { exampleRoute } from '../../test/gateway-examples.ts';
import type { Bench, Subject } from '../bench.ts';
import { ask, connect } from '../clients/connection.ts';
import type { Asked } from '../gateway/main.ts';
import type { Load } from '../load/load.ts';
import { memoryBytes } from '../machine/usage.ts';
import { cpuPerUnit, usual } from '../measure.ts';
import { podHost } from '../peers/peer.ts';
import { median, quantile } from '../report/statistics.ts';
import type { Row, Sample, Table } from '../results.ts';
import { wrkLoad } from './http1.ts';
import type { Question } from './question.ts';

const few = 10;
const many = 100_000;
const editSeconds = 5;
const betweenEditsMs = 10;
const reportMs = 1_200; // what the worker said last is of a second before

/** Leads the pod's host to another port and back, and times each until an answer comes from there. */
async function edits(subject: Subject, ports: readonly [number, number]): Promise<Sample> {
  const socket = await connect(subject.port);
  const tookMs: number[] = [];
  const endMs = performance.now() + editSeconds * 1_000 + reportMs;
  for (let turn = 1; performance.now() < endMs; turn += 1) {
    const port = ports[turn % 2 === 0 ? 0 : 1];
    const route: Route = exampleRoute({
      host: podHost,
      pod: 'a',
      upstream: { host: '127.0.0.1', port },
    });
    const startedMs = performance.now();
    tell(subject, { kind: 'put', route });
    while (!(await ask(socket, '/port')).endsWith(`port ${port}\n`));
    tookMs.push(performance.now() - startedMs);
    await systemClock.sleep(betweenEditsMs);
  }
  socket.destroy();
  return { total: median(tookMs), p99Ms: quantile(tookMs, 0.99) };
}

function tell(subject: Subject, asked: Asked): void {
  subject.child.send(asked);
}

/** How late the worker's event loop was at most, by the gateway's own count. */
async function lag(subject: Subject): Promise<Sample> {
  await systemClock.sleep(reportMs);
  tell(subject, { kind: 'watch-lag', forMs: editSeconds * 1_000 });
  const [worst]: unknown[] = await once(subject.child, 'message');
  return { total: Number(worst) };
}

async function probe(bench: Bench, { port }: Subject): Promise<Sample> {
  const out = await bench.client('probe.ts', editSeconds, [port, editSeconds]);
  const load: Load = JSON.parse(out);
  return { total: load.p99Ms ?? NaN };
}

const rowsOf = (all: ReadonlyMap<string, Sample[]>): Row[] =>
  Array.from(all, ([subject, samples]) => ({ subject, samples }));

/** Edits with a second client that sees whether anybody stands still meanwhile. */
async function edited(
  bench: Bench,
  subjects: readonly Subject[],
  { rounds, ports }: { readonly rounds: number; readonly ports: readonly [number, number] },
): Promise<Table[]> {
  const effect = new Map<string, Sample[]>(subjects.map(({ name }) => [name, []]));
  const quiet = new Map<string, Sample[]>(subjects.map(({ name }) => [`${name}, no edits`, []]));
  const lags = new Map<string, Sample[]>(subjects.map(({ name }) => [name, []]));
  const stalls = new Map<string, Sample[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const subject of subjects) {
      quiet.get(`${subject.name}, no edits`)?.push(await probe(bench, subject));
      const [stall, took, late] = await Promise.all([
        probe(bench, subject),
        edits(subject, ports),
        lag(subject),
      ]);
      lags.get(subject.name)?.push(late);
      stalls.get(subject.name)?.push(stall);
      effect.get(subject.name)?.push(took);
    }
  }
  return [
    {
      id: 'effect',
      title: 'From publishing a route to the first answer by it',
      unit: 'ms, median of a round',
      rows: rowsOf(effect),
      remarks: [
        'The bus is in the gateway’s parent; the message that tells it is counted as well.',
      ],
    },
    {
      id: 'lag',
      title: 'Longest stall of the worker meanwhile',
      unit: 'ms, worst of a round',
      rows: rowsOf(lags),
      remarks: [
        'How late its timers were, by the gateway’s own metric; the parent shares its core here.',
      ],
    },
    {
      id: 'wait',
      title: 'Longest wait of a client that asks every millisecond',
      unit: 'ms, worst of a round',
      rows: [...rowsOf(stalls), ...rowsOf(quiet)],
      remarks: ['Includes what the client itself was kept waiting for its core.'],
    },
  ];
}

export const routes: Question = {
  name: 'routes',
  title: '10 and 100,000 routes',
  about:
    'Each route with a certificate of its own in the store. Requests as with HTTP/1.1 small, all to one ' +
    'host; then about 50 edits a second of that host’s route.',
  tools: ['nginx', 'wrk'],
  async run(bench, rounds = usual.rounds) {
    const upstreamPort = await bench.upstream();
    const ports = [upstreamPort, await bench.upstream()] as const;
    const start = async (others: number, name: string): Promise<Subject[]> =>
      bench.gateways({ upstreamPort, others: others - 1, name });
    const subjects = [...(await start(many, '100,000 routes')), ...(await start(few, '10 routes'))];
    const memory = subjects.map((subject) => ({
      subject: subject.name,
      samples: [{ total: memoryBytes(subject.pids()) / 2 ** 20 }],
    }));
    const unit = 'CPU µs per request';
    const rows = await cpuPerUnit(subjects, { ...usual, rounds }, wrkLoad(bench, '/'));
    return [
      { id: 'cpu', title: 'Requests', unit, rows, remarks: [] },
      {
        id: 'memory',
        title: 'Memory of parent and worker',
        unit: 'MiB (PSS)',
        rows: memory,
        remarks: ['With the bench’s own store and bus in the parent.'],
      },
      ...(await edited(bench, subjects, { rounds, ports })),
    ];
  },
};
