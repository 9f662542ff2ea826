import { describe, expect, test } from 'vitest';
import type { Route, RouteEvent } from '#contracts/route.ts';
import { entryDigest } from '#contracts/route.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { exampleRoute } from '../test/gateway-examples.ts';
import { dropOf, putOf, snapshotOf } from '../test/route-events.ts';
import { RouteRegister } from './route-register.ts';
import { RouteTable } from './route-table.ts';

const routeOf = (host: string, change: Partial<Route> = {}): Route =>
  exampleRoute({ host, ...change });

function register() {
  const clock = new ManualClock();
  const routes = new RouteRegister(clock, new RouteTable('test', { host: '127.0.0.1', port: 1 }));
  const snapshot = (revision: number, ...all: readonly Route[]) =>
    routes.heard(snapshotOf(revision, all));
  return { clock, routes, snapshot };
}

test('a snapshot that repeats a route does not count as its change', async () => {
  const { clock, routes, snapshot } = register();
  snapshot(3, routeOf('a.test'), routeOf('b.test'));
  const first = routes.story('a.test').changed;
  expect(first).toEqual({ revision: 3, atMs: clock.nowMs() });
  await clock.advance(5_000);
  snapshot(4, routeOf('a.test'), routeOf('b.test', { pod: 'other' }));
  expect(routes.story('a.test').changed).toEqual(first);
  expect(routes.story('b.test').changed).toEqual({ revision: 4, atMs: clock.nowMs() });
  expect(routes.revision).toBe(4);
});

test('a dropped host is remembered until it has a route again', async () => {
  const { clock, routes, snapshot } = register();
  snapshot(1, routeOf('a.test'));
  routes.heard(dropOf(2, 'a.test'));
  routes.heard(dropOf(3, 'never.test'));
  expect(routes.find('a.test')).toBeUndefined();
  expect(routes.story('a.test')).toMatchObject({
    changed: undefined,
    dropped: { revision: 2, atMs: clock.nowMs() },
  });
  expect(routes.story('never.test').dropped).toBeUndefined();
  routes.heard(putOf(4, 'a.test', routeOf('a.test')));
  expect(routes.story('a.test').dropped).toBeUndefined();
});

test('of drops the newest thousand are remembered', () => {
  const { routes, snapshot } = register();
  snapshot(1, ...Array.from({ length: 1_001 }, (_, index) => routeOf(`h${index}.test`)));
  for (let index = 0; index <= 1_000; index += 1) {
    routes.heard(dropOf(2 + index, `h${index}.test`));
  }
  expect(routes.story('h0.test').dropped).toBeUndefined();
  expect(routes.story('h1.test').dropped).toBeDefined();
  expect(routes.story('h1000.test').dropped).toBeDefined();
});

test('a value that makes no sense is remembered until a better one comes; the route stays', () => {
  const { routes, snapshot } = register();
  snapshot(1, routeOf('a.test'));
  routes.heard(putOf(2, 'a.test', { host: 'a.test' }));
  expect(routes.find('a.test')).toBeDefined();
  expect(routes.story('a.test').quarantined).toContain('protocol');
  expect(routes.story('a.test').changed?.revision).toBe(1);
  routes.heard(putOf(3, 'a.test', routeOf('a.test')));
  expect(routes.story('a.test').quarantined).toBeUndefined();
});

const beat = (revision: number, hosts: readonly string[], at = revision): RouteEvent => ({
  kind: 'beat',
  epoch: 'test',
  revision,
  count: hosts.length,
  hash: hosts.reduce((hash, host) => hash ^ entryDigest(host, at), 0) >>> 0,
});

test('the table has no age while the controller beats, and one from its last word on', async () => {
  const { clock, routes, snapshot } = register();
  expect(routes.freshness()).toMatchObject({ source: 'none', changedAtMs: undefined });
  expect(routes.find('a.pods.test')?.state).toBe('starting');
  routes.followed(true);
  snapshot(1, routeOf('a.test'));
  const changedAtMs = clock.nowMs();
  for (let second = 0; second < 60; second += 1) {
    await clock.advance(1_000);
    expect(routes.heard(beat(1, ['a.test']))).toEqual({ kind: 'nothing' });
  }
  expect(routes.freshness()).toEqual({ source: 'bus', ageMs: 0, changedAtMs });
  await clock.advance(7_000);
  expect(routes.freshness().ageMs).toBe(7_000);
  routes.heard(beat(1, ['a.test']));
  expect(routes.freshness().ageMs).toBe(0);
  routes.followed(false);
  await clock.advance(3_000);
  expect(routes.freshness().ageMs).toBe(3_000);
});

describe('what the network did to changes is noticed, and never makes the table older', () => {
  test('a change that names another before it than the last one heard', () => {
    const { routes, snapshot } = register();
    snapshot(1, routeOf('a.test'));
    const lost = routes.heard({ ...putOf(3, 'b.test', routeOf('b.test')), previous: 2 });
    expect(lost).toEqual({ kind: 'anew', why: 'a change was lost' });
    expect(routes.find('b.test')).toBeUndefined();
    expect(routes.revision).toBe(1);
  });

  test('a change, a drop or a snapshot that comes again, or late', () => {
    const { routes, snapshot } = register();
    snapshot(1, routeOf('a.test'), routeOf('b.test'));
    routes.heard(putOf(2, 'a.test', routeOf('a.test')));
    routes.heard(dropOf(3, 'b.test'));
    routes.heard(putOf(4, 'c.test', routeOf('c.test')));
    expect(routes.heard(putOf(2, 'a.test', { ...routeOf('a.test'), pod: 'old' }))).toEqual({
      kind: 'nothing',
    });
    expect(routes.heard(dropOf(3, 'b.test'))).toEqual({ kind: 'nothing' });
    snapshot(1, { ...routeOf('a.test'), pod: 'older' }, routeOf('b.test'));
    expect(routes.find('a.test')?.pod).toBe('a');
    expect([...routes.routes.keys()].toSorted()).toEqual(['a.test', 'c.test']);
    expect(routes.revision).toBe(4);
  });

  test('a beat of the same revision with another table', () => {
    const { routes, snapshot } = register();
    snapshot(1, routeOf('a.test'));
    const differs = { kind: 'anew', why: 'the table differs from the controller’s' };
    expect(routes.heard(beat(1, ['b.test']))).toEqual(differs);
    expect(routes.heard(beat(1, ['a.test', 'b.test']))).toEqual(differs);
    expect(routes.heard(beat(1, ['a.test'], 0))).toEqual(differs);
    expect(routes.refollowed).toEqual(new Map([[differs.why, 3]]));
  });

  test('a beat of what has not arrived is waited for only two seconds', async () => {
    const { clock, routes, snapshot } = register();
    snapshot(1, routeOf('a.test'));
    const ahead = beat(2, ['a.test', 'b.test']);
    expect(routes.heard(ahead)).toEqual({ kind: 'nothing' });
    await clock.advance(1_999);
    expect(routes.heard(ahead)).toEqual({ kind: 'nothing' });
    await clock.advance(1);
    expect(routes.heard(ahead)).toEqual({ kind: 'anew', why: 'changes do not arrive' });
  });

  test('a beat that was overtaken, or of a leader before, says nothing', () => {
    const { routes, snapshot } = register();
    snapshot(5, routeOf('a.test'));
    expect(routes.heard(beat(4, []))).toEqual({ kind: 'nothing' });
  });
});

test('a value that was put aside counts as heard: beats are not about what we make of it', () => {
  const { routes, snapshot } = register();
  snapshot(1, routeOf('a.test'));
  routes.heard(putOf(2, 'b.test', { host: 'b.test' }));
  const hash = entryDigest('a.test', 1) ^ entryDigest('b.test', 2);
  const event = { kind: 'beat', epoch: 'test', revision: 2, count: 2, hash: hash >>> 0 } as const;
  expect(routes.heard(event)).toEqual({ kind: 'nothing' });
});

test('a bus that lost its table begins anew, with small revisions', () => {
  const { routes, snapshot } = register();
  snapshot(70, routeOf('a.test'), routeOf('b.test'));
  const other = { ...putOf(1, 'b.test', {}), epoch: 'other' };
  expect(routes.heard(other)).toMatchObject({ kind: 'anew' });
  const fresh = snapshotOf(3, [{ ...routeOf('b.test'), pod: 'new' }], { epoch: 'other' });
  expect(routes.heard(fresh)).toMatchObject({ kind: 'changed', change: { drops: ['a.test'] } });
  expect(routes.find('b.test')?.pod).toBe('new');
  expect([routes.epoch, routes.revision]).toEqual(['other', 3]);
});

test('a refused snapshot changes nothing and asks to follow anew', () => {
  const { routes, snapshot } = register();
  snapshot(1, ...Array.from({ length: 20 }, (_, index) => routeOf(`h${index}.test`)));
  expect(routes.heard(snapshotOf(2, [], { shrinkIntended: false }))).toMatchObject({
    kind: 'anew',
  });
  expect(routes.routes.size).toBe(20);
  expect(routes.revision).toBe(1);
});

test('saved tables are as old as their file, also while the bus is silent', () => {
  const { clock, routes } = register();
  routes.followed(true);
  routes.restore([routeOf('a.test')], clock.nowMs() - 90_000);
  expect(routes.freshness()).toMatchObject({ source: 'disk', ageMs: 90_000 });
  expect(routes.hasTables).toBe(true);
  expect(routes.find('b.pods.test')).toBeUndefined();
});
