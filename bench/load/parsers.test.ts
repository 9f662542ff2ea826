import { expect, test } from 'vitest';
import { gib, parseCurl } from './curl.ts';
import { parseH2load } from './h2load.ts';
import { parsePgbench } from './pgbench.ts';
import { parseWrk } from './wrk.ts';

/** What the programs print, as it was printed. */

const wrk = `Running 3s test @ https://a.pods.example.test:18444/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.10ms    1.54ms  23.41ms   89.86%
    Req/Sec    32.19k     1.60k   34.51k    73.33%
  Latency Distribution
     50%    1.85ms
     75%    2.38ms
     90%  873.00us
     99%    1.02s
  96064 requests in 3.01s, 16.86MB read
`;

test('wrk: requests, seconds and the tail in milliseconds, whatever its unit', () => {
  expect(parseWrk(wrk)).toEqual({ units: 96064, seconds: 3.01, p99Ms: 1_020, errors: 0 });
});

test('wrk: broken connections and bad answers are errors', () => {
  const bad = `${wrk}  Socket errors: connect 1, read 20, write 300, timeout 4000
  Non-2xx or 3xx responses: 50000
`;
  expect(parseWrk(bad).errors).toBe(54_321);
});

test('wrk: no result is an error, not zero', () => {
  expect(() => parseWrk('unable to connect to 127.0.0.1:1 Connection refused')).toThrow(/refused/);
});

const h2load = `finished in 3.00s, 72261.33 req/s, 9.86MB/s
requests: 216784 total, 216912 started, 216784 done, 216783 succeeded, 1 failed, 2 errored, 3 timeout
status codes: 216783 2xx, 0 3xx, 1 4xx, 0 5xx
`;

test('h2load: requests that succeeded, and the tail from its log', () => {
  const log = Array.from({ length: 100 }, (_, at) => `1795491409355209\t200\t${(at + 1) * 10}\n`);
  const load = parseH2load(h2load, log.join(''));
  expect(load).toEqual({ units: 216_783, seconds: 3, p99Ms: 0.99, errors: 6 });
});

test('h2load: without a log there is no tail; without a result an error', () => {
  expect(parseH2load(h2load, '').p99Ms).toBeUndefined();
  expect(() => parseH2load('could not connect', '')).toThrow(/could not connect/);
});

test('curl: GiB in either direction; anything but 200 is an error', () => {
  expect(parseCurl(`200 ${gib} 0 2.5`)).toMatchObject({ units: 1, seconds: 2.5, errors: 0 });
  expect(parseCurl(`200 10 ${gib / 2} 1`)).toMatchObject({ units: 0.5, errors: 0 });
  expect(parseCurl('503 10 0 0.1').errors).toBe(1);
});

test('pgbench: transactions, and those that failed', () => {
  const out = `number of transactions actually processed: 44514
number of failed transactions: 7 (0.016%)
latency average = 1.078 ms
`;
  expect(parsePgbench(out)).toEqual({ units: 44_514, p99Ms: undefined, errors: 7 });
  expect(() => parsePgbench('connection refused')).toThrow(/connection refused/);
});
