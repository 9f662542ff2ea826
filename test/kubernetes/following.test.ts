import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { ManualClock } from '#adapters/memory/clock.ts';
import { Reflector } from '../../controller/runtime/kubernetes/reflector.ts';
import { ApiDouble } from './api-double.ts';
import { apiOf, ports } from './conformance.ts';

/** How a collection is followed at an API server that misbehaves, and as whom. */

let double: ApiDouble;
const cleanups: (() => void)[] = [];

beforeEach(async () => {
  double = await ApiDouble.start();
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  await double.stop();
});

const namesOf = (objects: readonly unknown[]): string[] =>
  objects.map(
    (object) => z.object({ metadata: z.object({ name: z.string() }) }).parse(object).metadata.name,
  );

function make(name: string): void {
  double.store.create('nodes', { apiVersion: 'v1', kind: 'Node', metadata: metadataOf(name) });
}
const metadataOf = (name: string) =>
  ({ name }) as Parameters<ApiDouble['store']['create']>[1]['metadata'];

/** Follows all nodes by a clock that stands until it is told. */
function following() {
  const clock = new ManualClock();
  const stop = new AbortController();
  const seen: string[] = [];
  const lists: string[][] = [];
  const terms = { ...ports, api: apiOf(double.config()), clock, signal: stop.signal };
  const reflector = new Reflector(
    terms,
    { path: '/api/v1/nodes', query: {} },
    {
      replaced: (objects) => lists.push(namesOf(objects)),
      changed: (_type, object) => seen.push(...namesOf([object])),
    },
  );
  cleanups.push(() => stop.abort());
  return { clock, reflector, seen, lists };
}

const asked = (): number => double.requests.length;

test('a list in pages of which one expires is read anew from its beginning', async () => {
  const names = Array.from(
    { length: 1_200 },
    (_, index) => `node-${String(index).padStart(4, '0')}`,
  );
  names.forEach(make);
  double.faults.expiredPages = 2;
  const { reflector, lists } = following();
  await reflector.list();
  expect(lists).toEqual([names]);
  // Two pages in vain, twice, and then three.
  expect(asked()).toBe(2 + 2 + 3);
});

test('a watch that is silent for longer than bookmarks are is given up, and nothing is missed', async () => {
  double.faults.silentWatch = true;
  const { clock, reflector, seen } = following();
  await reflector.list();
  void reflector.run();
  await vi.waitFor(() => expect(asked()).toBe(2));
  make('unheard');
  await clock.advance(89_000);
  expect(asked()).toBe(2);
  double.faults.silentWatch = false;
  await clock.advance(2_000);
  await vi.waitFor(async () => {
    // The pause after a failure.
    await clock.advance(200);
    expect(seen).toEqual(['unheard']);
  });
  expect(asked()).toBe(3);
});

test('a watch that only has bookmarks is alive', async () => {
  double.faults.bookmarkMs = 10;
  const { clock, reflector, seen } = following();
  const timers = vi.spyOn(clock, 'after');
  await reflector.list();
  void reflector.run();
  await vi.waitFor(() => expect(asked()).toBe(2));
  for (let minute = 0; minute < 5; minute += 1) {
    await clock.advance(60_000);
    timers.mockClear();
    // Each word sets a new limit.
    await vi.waitFor(() => expect(timers).toHaveBeenCalled());
  }
  make('heard');
  await vi.waitFor(() => expect(seen).toEqual(['heard']));
  expect(asked()).toBe(2);
});

test('a token that was replaced in its file is used within a minute', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'podgate-token-'));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  const tokenFile = join(folder, 'token');
  const server = double.config().getCurrentCluster()?.server ?? '';
  const config = new KubeConfig();
  // As a Pod's own configuration is.
  config.loadFromClusterAndUser(
    { name: 'inCluster', server, skipTLSVerify: true },
    { name: 'inClusterUser', authProvider: { name: 'tokenFile', config: { tokenFile } } },
  );
  const everything = { forbidden: new Set<string>() };
  double.users.set('first', everything).set('second', everything);
  const list = { method: 'GET', path: '/api/v1/nodes' } as const;
  const api = apiOf(config);
  writeFileSync(tokenFile, 'first');
  await api.call(list);
  writeFileSync(tokenFile, 'second');
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
  cleanups.push(() => vi.useRealTimers());
  await api.call(list);
  expect(double.requests.map(({ token }) => token)).toEqual(['first', 'second']);
});
