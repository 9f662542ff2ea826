import { afterAll, beforeAll, expect, test } from 'vitest';
import { latencyBoundsSeconds } from '#contracts/traffic.ts';
import type { Bench } from '../../test/api/bench.ts';
import { openBench } from '../../test/api/bench.ts';
import { exampleTraffic } from '../../test/traffic-examples.ts';
import { quantile } from './traffic.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
  await bench.addUser('ada', 'pass word');
  const networking = {
    default: { protocol: 'http', port: 8000 },
    echo: { protocol: 'tcp', port: 9000 },
    inner: { protocol: 'local_only', port: 9001 },
  };
  const body = { pod_id: 'busy', image: 'podgate/hello', networking };
  const { status } = await bench.as('ada')('POST', '/v3/pods', { body });
  expect(status).toBe(200);
}, 30_000);
afterAll(() => bench.close());

const sinceMs = Date.UTC(2026, 0, 1, 12);
const counts = (change: Record<number, number>): number[] =>
  Array.from({ length: latencyBoundsSeconds.length + 1 }, (_, index) => change[index] ?? 0);
const read = () => bench.as('ada')('GET', '/v3/pods/busy/traffic');

test('what the gateway counted is shown for each network that it serves', async () => {
  const asked: string[] = [];
  const busy = exampleTraffic({
    requests: 12,
    statuses: [1, 8, 0, 2, 1],
    bytesIn: 345,
    bytesOut: 2 ** 40,
    open: 2,
    lastActivityMs: Date.UTC(2026, 0, 1, 12, 30, 0, 250),
    latencyCounts: counts({ 0: 10 }),
  });
  const end = bench.traffic.serve({
    read: async (key) => {
      asked.push(key);
      return { sinceMs, networks: new Map([['default', busy]]) };
    },
  });
  const { status, body } = await read();
  end();
  expect(status).toBe(200);
  expect(asked).toEqual(['default/busy']);
  expect(body).toEqual({
    message: 'Pod traffic retrieved successfully.',
    metadata: {},
    status: 'success',
    version: '0.1.0',
    result: {
      since: '2026-01-01T12:00:00.000000',
      networks: {
        default: {
          requests: 12,
          statuses: { '1xx': 1, '2xx': 8, '3xx': 0, '4xx': 2, '5xx': 1 },
          bytes_in: 345,
          bytes_out: 2 ** 40,
          open: 2,
          last_activity_ts: '2026-01-01T12:30:00.250000',
          latency_ms: { p50: 0.5, p90: 0.9, p99: 0.99 },
        },
        echo: {
          requests: 0,
          statuses: { '1xx': 0, '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0 },
          bytes_in: 0,
          bytes_out: 0,
          open: 0,
          last_activity_ts: null,
          latency_ms: null,
        },
      },
    },
  });
});

test('while no gateway can be asked, that is said', async () => {
  const { status, body } = await read();
  expect(status).toBe(503);
  expect(body.message).toContain('no gateway');
});

test('a pod that does not exist is a 404', async () => {
  const { status } = await bench.as('ada')('GET', '/v3/pods/nobody/traffic');
  expect(status).toBe(404);
});

test('quantiles lie within their bucket, and never beyond the last bound', () => {
  expect(quantile(counts({ 0: 1 }), 0.5)).toBeCloseTo(0.0005);
  expect(quantile(counts({ 0: 50, 8: 50 }), 0.5)).toBeCloseTo(0.001);
  expect(quantile(counts({ 0: 50, 8: 50 }), 0.9)).toBeCloseTo(0.25 + 0.25 * 0.8);
  expect(quantile(counts({ 15: 5 }), 0.99)).toBe(60);
  expect(quantile(counts({ 0: 999, 15: 1 }), 0.999)).toBeCloseTo(0.001);
});
