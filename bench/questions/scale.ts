import type { Bench } from '../bench.ts';
import { cpuTime, memoryBytes, treeOf } from '../machine/usage.ts';
import type { Row, Sample, Table } from '../results.ts';
import { ScaleCluster } from '../scale/cluster.ts';
import { Edits } from '../scale/edits.ts';
import type { Question } from './question.ts';

const sizes = [1_000, 10_000, 100_000]; // Redis keeps those of the size before
const cpuSeconds = 5;
const warmUpSeconds = 3; // or a program that has had few pods to read would run unoptimized code
const roundsUsual = 2;
const watchSeconds = 8;
const takeOverSeconds = 5; // about as long as a look at 100,000 pods

const tables: readonly Omit<Table, 'rows'>[] = [
  {
    id: 'controller-cpu',
    title: 'A change, in the controller',
    unit: 'CPU µs per change',
    remarks: ['With everything it does meanwhile: its lease, a beat each second.'],
  },
  {
    id: 'gateway-cpu',
    title: 'A change, in parent and worker of a gateway',
    unit: 'CPU µs per change',
    remarks: ['With everything it does meanwhile: reports, the tables on disk.'],
  },
  {
    id: 'effect',
    title: 'From PUT to its effect at the edge',
    unit: 'ms',
    kind: 'trials',
    remarks: [
      'From the call of the REST API to the first answer at the edge that tells of it.',
      'All being looked at: right after another controller took over; what it does each minute.',
    ],
  },
  {
    id: 'start',
    title: 'Cold starts',
    unit: 's',
    kind: 'trials',
    remarks: ['On one core, the controller’s before the gateway’s.'],
  },
  {
    id: 'pass',
    title: 'A look at every pod, as each minute',
    unit: 'CPU s',
    kind: 'trials',
    remarks: [],
  },
  { id: 'memory', title: 'Memory', unit: 'MiB (PSS)', kind: 'trials', remarks: [] },
];

type Note = (table: string, subject: string, ...samples: readonly Sample[]) => void;

const mebibytes = (pids: readonly number[]): Sample => ({ total: memoryBytes(pids) / 2 ** 20 });
const cpuMs = (pids: readonly number[]): number => cpuTime(pids).totalNs / 1e6;
const seconds = (ms: number): Sample => ({ total: ms / 1_000 });

async function measure(cluster: ScaleCluster, pods: number, rounds: number, note: Note) {
  const name = `${pods.toLocaleString('en')} pods`;
  await cluster.grow(pods);
  const controller = await cluster.controller();
  const controllerPids = [controller.child.pid ?? 0];
  note('start', `controller, lease → routes, ${name}`, seconds(controller.publishedMs));
  const beforePassMs = cpuMs(controllerPids);
  await controller.allSeenTo();
  note('pass', name, seconds(cpuMs(controllerPids) - beforePassMs));

  const gateway = await cluster.gateway();
  const gatewayPids = treeOf(gateway.child.pid ?? 0);
  note('start', `gateway, process → ready, ${name}`, seconds(gateway.readyMs));
  note('start', `gateway, process → pod answers, ${name}`, seconds(gateway.answeredMs));

  const api = await cluster.api();
  const edits = new Edits(api, pods, gateway.httpsPort);
  await edits.unwatched(warmUpSeconds);
  for (let round = 0; round < rounds; round += 1) {
    const before = [cpuMs(controllerPids), cpuMs(gatewayPids)] as const;
    const count = await edits.unwatched(cpuSeconds);
    const perChange = (now: number, then: number): Sample => ({
      total: ((now - then) * 1_000) / count,
    });
    note('controller-cpu', name, perChange(cpuMs(controllerPids), before[0]));
    note('gateway-cpu', name, perChange(cpuMs(gatewayPids), before[1]));
  }
  const tookMs = await edits.watched(watchSeconds);
  note('effect', name, ...tookMs.map((total) => ({ total })));
  const [parent = 0, ...workers] = gatewayPids;
  note('memory', `controller, ${name}`, mebibytes(controllerPids));
  note('memory', `gateway’s parent, ${name}`, mebibytes([parent]));
  note('memory', `gateway’s worker, ${name}`, mebibytes(workers));

  await cluster.end(controller.child);
  const next = await cluster.controller();
  note('start', `controller, lease → routes known before, ${name}`, seconds(next.publishedMs));
  const busyMs = await edits.watched(takeOverSeconds);
  note('effect', `${name}, all being looked at`, ...busyMs.map((total) => ({ total })));
  edits.close();
  await cluster.end(next.child, gateway.child, api.child);
  await cluster.forgetRoutes();
}

async function run(bench: Bench, rounds: number): Promise<Table[]> {
  const rows = new Map<string, Map<string, Sample[]>>(tables.map(({ id }) => [id, new Map()]));
  const note: Note = (table, subject, ...samples) => {
    const before = rows.get(table)?.get(subject) ?? [];
    rows.get(table)?.set(subject, [...before, ...samples]);
  };
  const cluster = await ScaleCluster.start(bench);
  for (const pods of sizes) await measure(cluster, pods, rounds, note);
  return tables.map((table) => {
    const found: Row[] = Array.from(rows.get(table.id) ?? [], ([subject, samples]) => ({
      subject,
      samples,
    }));
    // The largest first: the others are what it is compared with.
    return { ...table, rows: table.kind === 'trials' ? found : found.toReversed() };
  });
}

export const scale: Question = {
  name: 'scale',
  title: '1,000, 10,000 and 100,000 pods in a cluster',
  about:
    'Pods in Redis (AOF, every write on disk before its answer) and routes in NATS JetStream, both on the ' +
    'load’s core; a controller whose pods only seem to run, all at one nginx, and `gateway/main.ts` with one ' +
    'worker and one certificate for all hosts, on the other. 100 edits a second of a policy by `PUT` at ' +
    '`api/main.ts`, which is on the load’s core as well.',
  tools: ['redis-server', 'nats-server', 'nginx'],
  run: async (bench, rounds = roundsUsual) => run(bench, rounds),
};
