import { beforeEach, expect, test } from 'vitest';
import type { Route } from '#contracts/route.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { exampleRoute } from '../../test/gateway-examples.ts';
import type { AccessEntry, AccessLogLevel } from './access-log.ts';
import { AccessLog, Party } from './access-log.ts';
import type { Protocol } from './report.ts';

let clock: ManualClock;
/** What was written, and how to say that it is out. */
let writes: { lines: string; done: () => void }[];

beforeEach(() => {
  clock = new ManualClock();
  writes = [];
});

const sink = {
  write: (lines: string, done: () => void): void => void writes.push({ lines, done }),
};

const open = (level: AccessLogLevel = 'all'): AccessLog =>
  new AccessLog({ level, sink, clock }, { pid: 7, hostname: 'edge' });

const party = (protocol: Protocol = 'http1', route: Route | undefined = exampleRoute()): Party =>
  new Party(protocol, '192.0.2.7', route);

const entry = (change: Partial<AccessEntry> = {}): AccessEntry => ({
  party: party(),
  request: { method: 'GET', host: 'a.test', target: '/' },
  id: 'id-1',
  status: 200,
  bytesIn: 10,
  bytesOut: 20,
  ms: 1.23456,
  firstByteMs: 1.004,
  tries: 1,
  reused: true,
  ended: 'complete',
  ...change,
});

async function lineOf(change: Partial<AccessEntry>): Promise<Record<string, unknown>> {
  const log = open();
  log.write(entry(change));
  await clock.advance(100);
  return JSON.parse(writes.at(-1)?.lines ?? '');
}

test('a line has what an operator asks for, as pino writes it', async () => {
  expect(await lineOf({})).toEqual({
    level: 30,
    time: clock.nowMs() - 100,
    pid: 7,
    hostname: 'edge',
    id: 'id-1',
    method: 'GET',
    host: 'a.test',
    path: '/',
    client: '192.0.2.7',
    protocol: 'http1',
    tenant: 'default',
    pod: 'a',
    network: 'default',
    upstream: '127.0.0.1:1',
    tries: 1,
    reused: true,
    firstByteMs: 1,
    status: 200,
    bytesIn: 10,
    bytesOut: 20,
    ms: 1.23,
    ended: 'complete',
    msg: 'request',
  });
});

test.each(['/a"b', '/a\\b', '/\u00e9', '/\n{"forged":1}', '/\u2028'])(
  'a path %j stays within its quotes',
  async (target) => {
    const request = { method: 'GET', host: 'a.test', target };
    expect(await lineOf({ request })).toMatchObject({ path: target });
    expect(writes[0]?.lines.trimEnd()).not.toContain('\n');
  },
);

test('what follows ? is not logged', async () => {
  const request = { method: 'GET', host: 'a.test', target: '/x?token=secret' };
  expect(await lineOf({ request })).toMatchObject({ path: '/x' });
  expect(writes[0]?.lines).not.toContain('secret');
});

test('a session has no request, and what is no request has no route', async () => {
  const session = await lineOf({ party: party('tcp'), request: undefined });
  expect(session).toMatchObject({ msg: 'session', host: 'a.test' });
  expect(session).not.toHaveProperty('path');
  const nonsense = await lineOf({
    party: new Party('http1', '192.0.2.7', undefined),
    request: undefined,
    status: 400,
  });
  expect(nonsense).toMatchObject({ msg: 'request', host: '', status: 400 });
});

test.each<[AccessLogLevel, number, string, boolean]>([
  ['all', 200, 'complete', true],
  ['errors', 200, 'complete', false],
  ['errors', 404, 'EDGE_UNKNOWN_HOST', false],
  ['errors', 200, 'client left', false],
  ['errors', 503, 'EDGE_POD_STOPPED', false],
  ['errors', 502, 'complete', true],
  ['errors', 502, 'EDGE_UPSTREAM_REFUSED', true],
  ['errors', 200, 'pod cut it', true],
  ['errors', 200, 'timed out', true],
  ['errors', 200, 'broken off', true],
  ['off', 502, 'pod cut it', false],
])('%s: status %i that ended as %j gets a line: %s', (level, status, ended, wanted) => {
  expect(open(level).wants(status, ended)).toBe(wanted);
});

test('lines leave together, after a tenth of a second', async () => {
  const log = open();
  log.write(entry());
  log.write(entry());
  await clock.advance(99);
  expect(writes).toEqual([]);
  await clock.advance(1);
  expect(writes).toHaveLength(1);
  expect(writes[0]?.lines.trimEnd().split('\n')).toHaveLength(2);
});

test('many lines leave at once', () => {
  const log = open();
  while (writes.length === 0) log.write(entry());
  expect(writes[0]?.lines.length).toBeLessThan(280_000);
});

test('a sink that takes nothing costs lines, which are counted, and little memory', async () => {
  const log = open();
  const count = 10_000;
  for (let index = 0; index < count; index += 1) log.write(entry());
  expect(writes).toHaveLength(1);
  let lines = 0;
  let dropped = 0;
  for (let index = 0; index < writes.length; index += 1) {
    const write = writes[index];
    for (const line of write?.lines.trimEnd().split('\n') ?? []) {
      const said: { msg: string; dropped?: number } = JSON.parse(line);
      if (said.dropped === undefined) lines += 1;
      else dropped += said.dropped;
    }
    write?.done();
    await clock.advance(100);
  }
  expect(dropped).toBeGreaterThan(0);
  expect(lines + dropped).toBe(count);
});

test('closing does not wait for ever', async () => {
  const log = open();
  log.write(entry());
  let closed = 0;
  log.close(() => {
    closed += 1;
  });
  await clock.advance(1_000);
  expect(closed).toBe(1);
  writes[0]?.done();
  expect(closed).toBe(1);
});

test('closing waits until the last line is out', () => {
  const log = open();
  log.write(entry());
  let closed = false;
  log.close(() => {
    closed = true;
  });
  expect(writes).toHaveLength(1);
  expect(closed).toBe(false);
  writes[0]?.done();
  expect(closed).toBe(true);
});
