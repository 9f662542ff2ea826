import { median, quantile, ratio } from './report/statistics.ts';
import type { Row, Table } from './results.ts';

/** What the gateway shall reach, as data: every row of it stands in the report, met or not. */
export interface Target {
  readonly question: string;
  readonly table: string;
  /** What is judged; 'podgate' unless told. */
  readonly subject?: string;
  /** A ratio to the best of these, round by round; without: the value itself. */
  readonly bestOf?: readonly string[];
  /** Of a value: the worst round's tail instead of its figure, or the 99th percentile of trials. */
  readonly metric?: 'p99Ms' | 'p99';
  /** How much more than the best of them, instead of how many times. */
  readonly difference?: true;
  readonly max: number;
  readonly words: string;
}

export const targets: readonly Target[] = [
  {
    question: 'h1-small',
    table: 'cpu',
    bestOf: ['nginx', 'haproxy'],
    max: 1,
    words: 'CPU per request at most 1.00 × the better of nginx and HAProxy (the goal)',
  },
  {
    question: 'h1-small',
    table: 'cpu',
    bestOf: ['nginx', 'haproxy'],
    max: 1.1,
    words: 'CPU per request at most 1.10 × the better of nginx and HAProxy',
  },
  {
    question: 'h1-small',
    table: 'cpu',
    bestOf: ['caddy'],
    max: 0.35,
    words: 'at most 0.35 × Caddy',
  },
  {
    question: 'h1-small',
    table: 'cpu',
    bestOf: ['http-proxy-3'],
    max: 0.3,
    words: 'at most 0.30 × http-proxy-3',
  },
  {
    question: 'h2',
    table: 'cpu',
    bestOf: ['nginx'],
    max: 1.25,
    words: 'CPU per request at most 1.25 × nginx',
  },
  {
    question: 'h2',
    table: 'cpu',
    bestOf: ['haproxy'],
    max: 1,
    words: 'the goal is HAProxy: 1.00 ×',
  },
  ...['handshakes-full', 'handshakes-resumed'].flatMap((question) => [
    {
      question,
      table: 'cpu',
      bestOf: ['caddy'],
      max: 1,
      words: 'CPU per handshake at most 1.00 × Caddy',
    },
    { question, table: 'cpu', bestOf: ['haproxy'], max: 1, words: 'then 1.00 × HAProxy' },
  ]),
  ...['transfer', 'tcp'].flatMap((question) =>
    ['down', 'up'].map((table) => ({
      question,
      table,
      bestOf: ['haproxy'],
      max: 1.2,
      words: `CPU per GiB ${table} at most 1.20 × HAProxy`,
    })),
  ),
  {
    question: 'tcp',
    table: 'pgbench',
    bestOf: ['haproxy'],
    max: 1.2,
    words: 'CPU per transaction at most 1.20 × HAProxy',
  },
  {
    question: 'idle',
    table: 'memory',
    bestOf: ['bare Node server'],
    max: 1.1,
    words: 'memory per idle connection at most 1.10 × a bare server in Node',
  },
  {
    question: 'routes',
    table: 'cpu',
    subject: '100,000 routes',
    bestOf: ['10 routes'],
    max: 1.05,
    words: 'a request with 100,000 routes at most 1.05 × with 10',
  },
  {
    question: 'routes',
    table: 'effect',
    subject: '100,000 routes',
    metric: 'p99Ms',
    max: 50,
    words: 'route change to effect at 100,000 routes: p99 below 50 ms in every round',
  },
  {
    question: 'routes',
    table: 'lag',
    subject: '100,000 routes',
    max: 10,
    words: 'no stall over 10 ms in a worker meanwhile',
  },
  {
    question: 'certificates',
    table: 'memory',
    subject: '100,000 certificates, parent',
    bestOf: ['1,000 certificates, parent'],
    difference: true,
    max: 100,
    words:
      'among 100,000 certificates, 1,000 of them in use: at most 100 MiB more in the parent than among 1,000',
  },
  {
    question: 'certificates',
    table: 'memory',
    subject: '100,000 certificates, worker',
    bestOf: ['1,000 certificates, worker'],
    difference: true,
    max: 10,
    words: 'and at most 10 MiB more in the worker',
  },
  {
    question: 'certificates',
    table: 'handshakes',
    subject: '100,000 certificates',
    bestOf: ['1,000 certificates'],
    max: 1.05,
    words: 'a full handshake among 100,000 certificates at most 1.05 × among 1,000',
  },
  {
    question: 'certificates',
    table: 'requests',
    subject: '100,000 certificates',
    bestOf: ['10 certificates'],
    max: 1.05,
    words: 'a request among 100,000 certificates at most 1.05 × among 10',
  },
  {
    question: 'certificates',
    table: 'start',
    subject: '100,000 certificates, known from the run before',
    max: 5,
    words: 'with 100,000 certificates on its disk ready within 5 s',
  },
  {
    question: 'certificates',
    table: 'update',
    subject: '100,000 certificates',
    metric: 'p99',
    max: 1_000,
    words: 'a new certificate among 100,000 is in the next handshake: p99 below 1 s',
  },
  ...['controller', 'gateway'].map((program) => ({
    question: 'scale',
    table: `${program}-cpu`,
    subject: '100,000 pods',
    bestOf: ['1,000 pods'],
    max: 1.5,
    words: `a change in the ${program} among 100,000 pods at most 1.50 × among 1,000`,
  })),
  {
    question: 'scale',
    table: 'effect',
    subject: '100,000 pods',
    metric: 'p99',
    max: 100,
    words: 'PUT to effect at the edge among 100,000 pods, 100 changes a second: p99 below 100 ms',
  },
  {
    question: 'observability',
    table: 'metrics',
    bestOf: ['podgate without metrics'],
    max: 1.05,
    words: 'metrics cost at most 5 % of CPU per request',
  },
  {
    question: 'observability',
    table: 'log',
    subject: 'podgate, log of all',
    bestOf: ['nginx, JSON log'],
    difference: true,
    max: 2,
    words: 'the access log costs at most 2 µs more than nginx’s JSON log costs nginx',
  },
  {
    question: 'pod-life',
    table: 'life',
    subject: 'pod listens → first https 200',
    metric: 'p99',
    max: 100,
    words: 'pod ready to first https 200: p99 below 100 ms',
  },
  {
    question: 'pod-life',
    table: 'life',
    subject: 'create → first https 200',
    max: 1_000,
    words: 'create → first https 200 below 1,000 ms (process runtime), every time',
  },
  ...[
    '1,000 pods, one more every 100 ms',
    '10,000 pods, one more every 100 ms',
    '10,000 pods, 200 more at once',
  ].map((subject) => ({
    question: 'kubernetes',
    table: 'ready',
    subject,
    metric: 'p99' as const,
    max: 100,
    words: `${subject}: ready at the API server to route in a gateway’s table, p99 below 100 ms`,
  })),
  {
    question: 'api',
    table: 'calls',
    subject: 'list, a page of 50 by time',
    metric: 'p99',
    max: 50,
    words: 'a page of 50 out of 10,000 pods: p99 below 50 ms',
  },
  {
    question: 'handshakes-unknown',
    table: 'cpu',
    subject: 'podgate, unknown name',
    bestOf: ['podgate, served'],
    max: 0.5,
    words: 'CPU for a name that nobody has at most half of that for a full handshake',
  },
  {
    question: 'certificates-acme',
    table: 'use',
    subject: 'create → own certificate in use, one pod at a time',
    metric: 'p99',
    max: 2_000,
    words: 'a pod’s own certificate is in use within 2 s of its creation (p99)',
  },
];

export interface Verdict {
  readonly target: Target;
  /** NaN when it was not measured. */
  readonly value: number;
  readonly met: boolean;
  /** Of a ratio: to whom. */
  readonly against: string | undefined;
}

/** A bound holds in every round or it does not hold. */
function bounded(row: Row, metric: Target['metric']): number {
  if (metric === 'p99') return quantile(totals(row), 0.99);
  return Math.max(...row.samples.map((sample) => sample[metric ?? 'total'] ?? NaN));
}

const totals = (row: Row): number[] => row.samples.map(({ total }) => total);

const compared = (own: Row, best: Row, difference?: true): number =>
  difference
    ? median(totals(own)) - median(totals(best))
    : ratio(totals(own), totals(best)).perRound;

/** What became of a target. Ratios are the median of the ratios per round. */
export function judge(target: Target, tables: readonly Table[]): Verdict {
  const rows = tables.find(({ id }) => id === target.table)?.rows ?? [];
  const find = (name: string): Row | undefined => rows.find(({ subject }) => subject === name);
  const own = find(target.subject ?? 'podgate');
  if (!target.bestOf) {
    const value = own ? bounded(own, target.metric) : NaN;
    return { target, value, met: value <= target.max, against: undefined };
  }
  const others = target.bestOf.flatMap((name) => find(name) ?? []);
  const best = others.toSorted((a, b) => median(totals(a)) - median(totals(b)))[0];
  const value = own && best ? compared(own, best, target.difference) : NaN;
  return { target, value, met: value <= target.max, against: best?.subject };
}
