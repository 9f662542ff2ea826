import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Route } from '#contracts/route.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { TableFile } from './snapshot.ts';
import { exampleRoute } from '../test/gateway-examples.ts';

const folder = mkdtempSync(join(tmpdir(), 'podgate-tables-'));
afterAll(() => rmSync(folder, { recursive: true }));

const routeOf = (host: string): Route => exampleRoute({ host });

function tableFile(name: string, routes: () => Route[]) {
  const clock = new ManualClock();
  const errors: string[] = [];
  const log = {
    debug() {},
    info() {},
    warn() {},
    error: (_fields: object, message: string) => void errors.push(message),
  };
  const path = join(folder, name, 'tables.json');
  const file = new TableFile(path, { clock, log }, routes);
  return { clock, errors, path, file };
}

test('what was saved is loaded; nobody else may read it', async () => {
  const { file, path, clock, errors } = tableFile('kept', () => [routeOf('a.test')]);
  file.changed();
  await file.flush();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await file.load()).toEqual({
    savedAtMs: clock.nowMs(),
    routes: [routeOf('a.test')],
  });
  expect(errors).toEqual([]);
});

test('tables of many pieces are loaded as they were saved', async () => {
  const routes = Array.from({ length: 1_001 }, (_, number) => routeOf(`n${number}.test`));
  const { file } = tableFile('many', () => routes);
  file.changed();
  await file.flush();
  const loaded = await file.load();
  expect(loaded?.routes).toEqual(routes);
});

test.each([
  [0, 10_000],
  [4_000, 6_000],
  [60_000, 500],
])(
  'large tables are written seldom, but soon after a quiet while: an edit %i ms later waits %i ms',
  async (laterMs, waitsMs) => {
    const many = Array.from({ length: 100_000 }, () => routeOf('a.test'));
    const { file, clock } = tableFile('large', () => many);
    file.changed();
    await file.flush();
    await clock.advance(laterMs);
    const delays: number[] = [];
    clock.after = (delayMs) => {
      delays.push(delayMs);
      return () => undefined;
    };
    file.changed();
    expect(delays).toEqual([waitsMs]);
  },
);

test('a burst of changes is one write, of the newest', async () => {
  let asked = 0;
  const { file, clock, path } = tableFile('burst', () => [routeOf(`n${(asked += 1)}.test`)]);
  for (let change = 0; change < 100; change += 1) file.changed();
  await clock.advance(10_000);
  await file.flush();
  expect(asked).toBe(1);
  expect(readFileSync(path, 'utf8')).toContain('n1.test');
});

test('a change while it is written is written after it, never at the same time', async () => {
  let asked = 0;
  const { file, clock, path } = tableFile('twice', () => [routeOf(`n${(asked += 1)}.test`)]);
  const due: (() => void)[] = [];
  clock.after = (_delayMs, run) => {
    due.push(run);
    return () => undefined;
  };
  file.changed();
  due.shift()?.();
  file.changed();
  // In the same turn: the first write cannot have ended.
  due.shift()?.();
  expect(asked).toBe(1);
  expect(due).toHaveLength(1);
  await file.flush();
  expect(asked).toBe(2);
  expect(readFileSync(path, 'utf8')).toContain('n2.test');
});

test('a file of before, which held certificates as well, gives its routes', async () => {
  const { file, path, errors } = tableFile('earlier', () => []);
  file.changed();
  await file.flush();
  writeFileSync(
    path,
    JSON.stringify({ savedAtMs: 1, routes: [routeOf('a.test')], certificates: {} }),
  );
  expect((await file.load())?.routes).toEqual([routeOf('a.test')]);
  expect(errors).toEqual([]);
});

test('nothing to flush writes nothing; no file is nothing to load and no error', async () => {
  const { file, errors } = tableFile('none', () => []);
  await file.flush();
  expect(await file.load()).toBeUndefined();
  expect(errors).toEqual([]);
});

test.each(['', '{"routes":', '[]', '{"savedAtMs":1,"routes":[{}]}'])(
  'a damaged file (%j) is reported and not used',
  async (text) => {
    const { file, path, errors } = tableFile('damaged', () => []);
    file.changed();
    await file.flush();
    writeFileSync(path, text);
    expect(await file.load()).toBeUndefined();
    expect(errors).toEqual(['the saved tables cannot be used']);
  },
);
