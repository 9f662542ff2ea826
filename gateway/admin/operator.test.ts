import { Registry } from 'prom-client';
import { beforeEach, expect, test } from 'vitest';
import type { Route } from '#contracts/route.ts';
import { latencyBoundsSeconds } from '#contracts/traffic.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { certificates } from '#contracts/certificate.ts';
import { parseExposition, valueOf } from '../../test/exposition.ts';
import { exampleRoute } from '../../test/gateway-examples.ts';
import { putOf, snapshotOf } from '../../test/route-events.ts';
import { exampleNetwork, exampleNow, exampleReport } from '../../test/traffic-examples.ts';
import { CertificateFeed } from '../certificates/feed.ts';
import { inMemory } from '../certificates/file.ts';
import { RouteRegister } from '../route-register.ts';
import { RouteTable } from '../route-table.ts';
import { OperatorView } from './operator.ts';
import type { WorkerState } from './worker-metrics.ts';

const first = { number: 0, pid: 100 };
const second = { number: 1, pid: 200 };
const silent = { debug() {}, info() {}, warn() {}, error() {} };

let clock: ManualClock;
let routes: RouteRegister;
let operator: OperatorView;
let feed: CertificateFeed;
let states: WorkerState[];
let problem: string | undefined;

beforeEach(async () => {
  clock = new ManualClock();
  routes = new RouteRegister(clock, new RouteTable('test', { host: '127.0.0.1', port: 1 }));
  states = [];
  problem = undefined;
  const sealer = { seal: () => unused(), open: () => unused() };
  const feedPorts = {
    clock,
    certificates: certificates(new MemoryStore()),
    sealer,
    log: silent,
    changed: () => undefined,
  };
  feed = new CertificateFeed(feedPorts, inMemory);
  const read = Promise.withResolvers<void>();
  void feed.follow(AbortSignal.abort(), read.resolve);
  await read.promise;
  operator = new OperatorView({
    clock,
    domain: 'test',
    publicHttpsPort: 443,
    routes,
    certificates: feed,
    workers: () => ({ states, problem }),
    appliedRevision: () => 6,
  });
});

function unused(): never {
  throw new Error('nothing is sealed here');
}

function publish(...all: readonly Partial<Route>[]): void {
  const made = all.map((change) => exampleRoute(change));
  routes.heard(snapshotOf(7, made));
}

async function scrape() {
  const registry = new Registry();
  operator.observe(registry);
  return parseExposition(registry);
}

/** The value of a sample, by the name without the prefix that all share. */
async function value(name: string, labels: Record<string, string> = {}) {
  return valueOf(await scrape(), `podgate_gateway_${name}`, labels);
}

const counts = (change: Record<number, number>): number[] =>
  Array.from({ length: latencyBoundsSeconds.length + 1 }, (_, index) => change[index] ?? 0);

test('counts of all workers add up, and those of a worker that died stay', async () => {
  operator.reported(
    first,
    exampleReport({
      connections: { https: 5, http: 1 },
      handshakes: { full: 3, refused: 1 },
      requests: { http1: [0, 7, 0, 2, 1], tcp: [0, 1, 0, 0, 0] },
      bytesIn: 100,
      bytesOut: 1_000,
      upstreamConnections: 2,
      upstreamErrors: { EDGE_UPSTREAM_REFUSED: 1 },
      limitsHit: { addressConnectionsMax: 4 },
      cpuSeconds: 0.25,
    }),
  );
  operator.left(first);
  const replacement = { number: 0, pid: 101 };
  operator.reported(replacement, exampleReport({ connections: { https: 2 }, cpuSeconds: 0.5 }));
  operator.reported(second, exampleReport({ requests: { http1: [0, 1, 0, 0, 0] }, cpuSeconds: 1 }));
  expect(await value('connections_total', { listener: 'https' })).toBe(7);
  expect(await value('connections_total', { listener: 'http' })).toBe(1);
  expect(await value('handshakes_total', { result: 'full' })).toBe(3);
  expect(await value('handshakes_total', { result: 'refused' })).toBe(1);
  expect(await value('requests_total', { protocol: 'http1', class: '2xx' })).toBe(8);
  expect(await value('requests_total', { protocol: 'http1', class: '5xx' })).toBe(1);
  expect(await value('requests_total', { protocol: 'tcp', class: '2xx' })).toBe(1);
  expect(await value('received_bytes_total')).toBe(100);
  expect(await value('sent_bytes_total')).toBe(1_000);
  expect(await value('upstream_connections_total')).toBe(2);
  expect(await value('upstream_errors_total', { code: 'EDGE_UPSTREAM_REFUSED' })).toBe(1);
  expect(await value('limits_hit_total', { limit: 'addressConnectionsMax' })).toBe(4);
  expect(await value('worker_cpu_seconds_total', { worker: '0' })).toBe(0.75);
  expect(await value('worker_cpu_seconds_total', { worker: '1' })).toBe(1);
});

test('what may be counted is there from the start, at zero: a rate needs a beginning', async () => {
  const families = await scrape();
  for (const [name, labels] of [
    ['connections_total', { listener: 'http' }],
    ['handshakes_total', { result: 'failed' }],
    ['requests_total', { protocol: 'postgres', class: '5xx' }],
    ['received_bytes_total', {}],
  ] as const) {
    expect(valueOf(families, `podgate_gateway_${name}`, labels), name).toBe(0);
  }
});

test('what is open at a worker is added up, and is gone with the worker', async () => {
  const now = exampleNow({
    connections: 10,
    requests: 2,
    tunnels: 3,
    upstreamIdle: 4,
    contexts: 5,
  });
  operator.reported(first, exampleReport({}, { now }));
  operator.reported(second, exampleReport({}, { now: { ...now, upstreamBusy: 1 } }));
  expect(await value('connections')).toBe(20);
  expect(await value('requests_in_flight')).toBe(4);
  expect(await value('tunnels')).toBe(6);
  expect(await value('tls_contexts')).toBe(10);
  expect(await value('upstream_connections', { state: 'idle' })).toBe(8);
  expect(await value('upstream_connections', { state: 'busy' })).toBe(1);
  operator.left(second);
  expect(await value('connections')).toBe(10);
  expect(await value('upstream_connections', { state: 'busy' })).toBe(0);
});

test('of a worker process: memory and lag; of two in one place, while one is replaced, the larger', async () => {
  const now = exampleNow({ residentBytes: 70e6, lag: { p50Seconds: 0.001, maxSeconds: 0.02 } });
  operator.reported(first, exampleReport({}, { now }));
  const replacement = { number: 0, pid: 101 };
  operator.reported(replacement, exampleReport({}, { now: { ...now, residentBytes: 50e6 } }));
  expect(await value('worker_resident_memory_bytes', { worker: '0' })).toBe(70e6);
  const lag = { worker: '0', quantile: '1' };
  expect(await value('worker_event_loop_lag_seconds', lag)).toBe(0.02);
  operator.left(first);
  expect(await value('worker_resident_memory_bytes', { worker: '0' })).toBe(50e6);
  operator.left(replacement);
  expect(await value('worker_resident_memory_bytes', { worker: '0' })).toBeUndefined();
  expect(await value('worker_event_loop_lag_seconds', lag)).toBeUndefined();
});

test('timings of all workers make one histogram', async () => {
  const timing = { counts: counts({ 0: 3, 2: 1 }), sumSeconds: 0.01 };
  const slow = { counts: counts({ 15: 1 }), sumSeconds: 90 };
  operator.reported(first, exampleReport({ requestTiming: timing, firstByteTiming: timing }));
  operator.reported(second, exampleReport({ requestTiming: slow }));
  expect(await value('request_seconds_count')).toBe(5);
  expect(await value('request_seconds_sum')).toBeCloseTo(90.01);
  expect(await value('request_seconds_bucket', { le: '0.001' })).toBe(3);
  expect(await value('request_seconds_bucket', { le: '60' })).toBe(4);
  expect(await value('request_seconds_bucket', { le: '+Inf' })).toBe(5);
  expect(await value('upstream_first_byte_seconds_count')).toBe(4);
});

test('of the tables: how many, which revision, how old, from where', async () => {
  expect(await value('table_revision')).toBe(-1);
  routes.followed(true);
  routes.restore([exampleRoute()], clock.nowMs() - 60_000);
  expect(await value('table_from_disk')).toBe(1);
  expect(await value('table_age_seconds')).toBe(60);
  publish({ host: 'a.test' }, { host: 'b.test' });
  routes.heard(putOf(8, 'c.test', {}));
  expect(await value('routes')).toBe(2);
  expect(await value('routes_refused')).toBe(1);
  expect(await value('table_revision')).toBe(8);
  expect(await value('table_applied_revision')).toBe(6);
  expect(await value('table_from_disk')).toBe(0);
  expect(await value('table_age_seconds')).toBe(0);
  expect(await value('table_changed_timestamp_seconds')).toBe(clock.nowMs() / 1000);
  expect(await value('certificates')).toBe(0);
});

test('of certificates: when the first ends that clients are shown, and how many do so soon', async () => {
  expect(await value('certificates_not_after_timestamp_seconds')).toBe(Infinity);
  expect(await value('certificates_ending', { within: '7d' })).toBe(0);
  const ends = { firstMs: 1_000_500, ended: 1, within7Days: 3 };
  const never = { firstMs: undefined, ended: 0, within7Days: 0 };
  feed.ends = (isRouted) => (isRouted('a.test') && !isRouted('b.test') ? ends : never);
  publish({ host: 'a.test' });
  expect(await value('certificates_not_after_timestamp_seconds')).toBe(1_000.5);
  expect(await value('certificates_ending', { within: '0d' })).toBe(1);
  expect(await value('certificates_ending', { within: '7d' })).toBe(3);
});

test('of the workers: who serves, and how often each was started again', async () => {
  states = [
    { number: 0, ready: true, restarts: 0 },
    { number: 1, ready: false, restarts: 3 },
  ];
  expect(await value('worker_ready', { worker: '0' })).toBe(1);
  expect(await value('worker_ready', { worker: '1' })).toBe(0);
  expect(await value('worker_restarts_total', { worker: '1' })).toBe(3);
});

test('traffic is kept by pod and network, what is open by worker', async () => {
  publish(
    { host: 'a.test', pod: 'a' },
    { host: 'a-db.test', pod: 'a', network: 'db', protocol: 'tcp' },
  );
  const statuses = [0, 1, 0, 0, 0] as const;
  const some = { requests: 1, statuses, bytesIn: 5, bytesOut: 7, opened: 2 };
  const latencyCounts = counts({ 3: 1 });
  const early = exampleNetwork('a.test', { ...some, lastActivityMs: 1_000, latencyCounts });
  const late = { ...early, lastActivityMs: 2_000 };
  const ended = exampleNetwork('a.test', { opened: -1 });
  operator.reported(first, exampleReport({}, { networks: [late, ended] }));
  operator.reported(
    second,
    exampleReport({}, { networks: [early, exampleNetwork('a-db.test', some)] }),
  );
  operator.reported(
    second,
    exampleReport({}, { networks: [exampleNetwork('unknown.test', some)] }),
  );
  const traffic = await operator.traffic.read('default/a');
  expect(traffic.sinceMs).toBe(clock.nowMs());
  expect([...traffic.networks.keys()].toSorted()).toEqual(['db', 'default']);
  expect(traffic.networks.get('default')).toEqual({
    requests: 2,
    statuses: [0, 2, 0, 0, 0],
    bytesIn: 10,
    bytesOut: 14,
    open: 3,
    lastActivityMs: 2_000,
    latencyCounts: counts({ 3: 2 }),
  });
  operator.left(second);
  const left = await operator.traffic.read('default/a');
  expect(left.networks.get('default')).toMatchObject({ requests: 2, open: 1 });
  expect(left.networks.get('db')).toMatchObject({ requests: 1, open: 0, lastActivityMs: null });
});

test('a host that is dropped takes its traffic along, and its next owner begins at zero', async () => {
  publish({ host: 'a.test', pod: 'a' });
  const networks = [exampleNetwork('a.test', { requests: 9 })];
  operator.reported(first, exampleReport({}, { networks }));
  operator.dropped(['a.test', 'never.test']);
  expect((await operator.traffic.read('default/a')).networks.size).toBe(0);
  operator.reported(first, exampleReport({}, { networks }));
  const again = await operator.traffic.read('default/a');
  expect(again.networks.get('default')?.requests).toBe(9);
});

async function seriesCount(): Promise<number> {
  const families = await scrape();
  return [...families.values()].reduce((sum, { samples }) => sum + samples.length, 0);
}

test('ten thousand pods add no series', async () => {
  const hosts = Array.from({ length: 10_000 }, (_, index) => `h${index}.test`);
  const before = await seriesCount();
  publish(...hosts.map((host) => ({ host, pod: host })));
  const networks = hosts.map((host) => exampleNetwork(host, { requests: 1 }));
  operator.reported(first, exampleReport({}, { networks }));
  // What a worker adds by being there: its CPU, memory and two figures of lag.
  expect((await seriesCount()) - before).toBe(4);
});

test('it has no problem with tables and workers that report, and says which it has', async () => {
  expect(operator.problem()).toBe('no controller has told any routes yet');
  publish({ host: 'a.test' });
  expect(operator.problem()).toBeUndefined();
  problem = '1 of 2 workers do not serve: worker 1 is starting';
  expect(operator.problem()).toBe(problem);
  problem = undefined;
  operator.reported(first, exampleReport());
  operator.reported(second, exampleReport());
  await clock.advance(4_000);
  operator.reported(first, exampleReport());
  expect(operator.problem()).toBeUndefined();
  await clock.advance(3_000);
  expect(operator.problem()).toMatch(/^worker 1 has reported nothing for 7 s/);
  operator.left(second);
  expect(operator.problem()).toBeUndefined();
});

test('the newest errors of a host are shown, however many came', () => {
  publish({ host: 'a.pods.test' });
  const error = { host: 'a.pods.test', kind: 'upstream', code: 'EDGE_UPSTREAM_REFUSED' } as const;
  const errors = Array.from({ length: 40 }, (_, index) => ({
    ...error,
    message: `error ${index}`,
    atMs: index,
  }));
  operator.reported(first, exampleReport({}, { errors }));
  const [endpoint] = operator.endpoints;
  const text = JSON.stringify(endpoint?.answer(new URLSearchParams('host=a.pods.test')));
  expect(text).toContain('error 39');
  expect(text).toContain('error 24');
  expect(text).not.toContain('error 23');
});
