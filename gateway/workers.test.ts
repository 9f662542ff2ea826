import { once } from 'node:events';
import net from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { systemClock } from '#adapters/system/clock.ts';
import type { Listeners } from './listeners.ts';
import { bindListeners } from './listeners.ts';
import { Workers } from './workers.ts';
import { servingTerms } from '../test/gateway-examples.ts';

const node = process.execPath;
let listeners: Listeners;
let clock: ManualClock;
let errors: string[];
let changes: PromiseWithResolvers<void>;
let workers: Workers;

const log = {
  debug() {},
  info() {},
  warn() {},
  error(_fields: object, message: string) {
    errors.push(message);
  },
};

beforeEach(async () => {
  listeners = await bindListeners([0, 0], 1, systemClock);
  clock = new ManualClock();
  errors = [];
  changes = Promise.withResolvers();
});

afterEach(async () => {
  process.execPath = node;
  await workers.stop();
  for (const handle of listeners.handles.flat()) handle.close();
});

const start = (): Workers =>
  new Workers(listeners.handles, {
    clock,
    log,
    greeting: function* () {
      yield {
        kind: 'begin',
        terms: {
          number: 0,
          ...servingTerms,
          ticketMaster: Buffer.alloc(32),
        },
      };
      yield { kind: 'serve' };
    },
    wanted: () => undefined,
    challengeWanted: () => undefined,
    unusable: () => undefined,
    cancelWanted: () => undefined,
    cancelOwners: () => undefined,
    reported: () => undefined,
    left: () => undefined,
    changed: () => changes.resolve(),
  });

async function eventually(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000; turn += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('waited in vain');
}

test.each([
  ['emits', '/nonexistent/node', 'worker cannot be reached'],
  ['throws', 'no\0path', 'worker not started'],
])(
  'a process that cannot be started (Node %s why) is tried again, later each time, until it can',
  async (_how, path, message) => {
    process.execPath = path;
    workers = start();
    const failed = (times: number): Promise<void> => eventually(() => errors.length === times);
    await failed(1);
    expect(workers.ready).toBe(false);
    expect(workers.pids).toEqual([]);
    expect(workers.broadcast({ kind: 'drain' })).toBe(0);
    await clock.advance(199);
    expect(errors).toHaveLength(1);
    await clock.advance(1);
    await failed(2);
    await clock.advance(399);
    expect(errors).toHaveLength(2);
    process.execPath = node;
    await clock.advance(1);
    await changes.promise;
    expect(workers.ready).toBe(true);
    expect(errors).toEqual([message, message]);
  },
  20_000,
);

test('a stop ends the wait for the next try', async () => {
  process.execPath = '/nonexistent/node';
  workers = start();
  await eventually(() => errors.length === 1);
  await workers.stop();
  process.execPath = node;
  await clock.advance(60_000);
  expect(workers.pids).toEqual([]);
});

test('a worker that meets a fault serves on until another takes over', async () => {
  workers = start();
  await eventually(() => workers.ready);
  const before = workers.pids;
  const [, http] = listeners.ports;
  const client = net.connect({ host: '127.0.0.1', port: http ?? 0 });
  await once(client, 'connect');
  // No parent sends such a thing: it stands for the fault that nobody thought of.
  workers.broadcast(Object.assign({ kind: 'routes' }, { puts: null }) as never);
  await eventually(() => errors.length > 0);
  expect(errors[0]).toBe('worker met a fault');
  expect(workers.pids).toEqual(before);
  client.write('GET / HTTP/1.1\r\nHost: a.pods.example.test\r\nConnection: close\r\n\r\n');
  const [answer]: Buffer[] = await once(client, 'data');
  expect(answer?.toString()).toMatch(/^HTTP\/1\.1 308 /);
  client.destroy();
  await eventually(() => workers.ready && workers.pids.every((pid) => !before.includes(pid)));
  expect(errors.filter((error) => error !== 'worker met a fault')).toEqual([]);
});
