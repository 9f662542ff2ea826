import { expect, test } from 'vitest';
import type { Route } from '#contracts/route.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { exampleRoute } from '../test/gateway-examples.ts';
import { RouteRegister } from './route-register.ts';
import { RouteTable } from './route-table.ts';

const routeOf = (host: string, change: Partial<Route> = {}): Route =>
  exampleRoute({ host, ...change });

function register() {
  const clock = new ManualClock();
  const routes = new RouteRegister(clock, new RouteTable('test', { host: '127.0.0.1', port: 1 }));
  const snapshot = (revision: number, ...all: readonly Route[]) =>
    routes.heard({
      kind: 'snapshot',
      revision,
      routes: new Map(all.map((route) => [route.host, route])),
      shrinkIntended: true,
    });
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
  routes.heard({ kind: 'drop', revision: 2, host: 'a.test' });
  routes.heard({ kind: 'drop', revision: 2, host: 'never.test' });
  expect(routes.find('a.test')).toBeUndefined();
  expect(routes.story('a.test')).toMatchObject({
    changed: undefined,
    dropped: { revision: 2, atMs: clock.nowMs() },
  });
  expect(routes.story('never.test').dropped).toBeUndefined();
  routes.heard({ kind: 'put', revision: 3, host: 'a.test', route: routeOf('a.test') });
  expect(routes.story('a.test').dropped).toBeUndefined();
});

test('of drops the newest thousand are remembered', () => {
  const { routes, snapshot } = register();
  snapshot(1, ...Array.from({ length: 1_001 }, (_, index) => routeOf(`h${index}.test`)));
  for (let index = 0; index <= 1_000; index += 1) {
    routes.heard({ kind: 'drop', revision: 2 + index, host: `h${index}.test` });
  }
  expect(routes.story('h0.test').dropped).toBeUndefined();
  expect(routes.story('h1.test').dropped).toBeDefined();
  expect(routes.story('h1000.test').dropped).toBeDefined();
});

test('a value that makes no sense is remembered until a better one comes; the route stays', () => {
  const { routes, snapshot } = register();
  snapshot(1, routeOf('a.test'));
  routes.heard({ kind: 'put', revision: 2, host: 'a.test', route: { host: 'a.test' } });
  expect(routes.find('a.test')).toBeDefined();
  expect(routes.story('a.test').quarantined).toContain('protocol');
  expect(routes.story('a.test').changed?.revision).toBe(1);
  routes.heard({ kind: 'put', revision: 3, host: 'a.test', route: routeOf('a.test') });
  expect(routes.story('a.test').quarantined).toBeUndefined();
});

test('the table has no age while the bus is followed, and one from when that ends', async () => {
  const { clock, routes, snapshot } = register();
  expect(routes.freshness()).toMatchObject({ source: 'none', changedAtMs: undefined });
  expect(routes.find('a.pods.test')?.state).toBe('starting');
  routes.followed(true);
  snapshot(1, routeOf('a.test'));
  const changedAtMs = clock.nowMs();
  await clock.advance(60_000);
  expect(routes.freshness()).toEqual({ source: 'bus', ageMs: 0, changedAtMs });
  routes.followed(false);
  await clock.advance(7_000);
  expect(routes.freshness().ageMs).toBe(7_000);
  routes.followed(true);
  expect(routes.freshness().ageMs).toBe(0);
});

test('saved tables are as old as their file, also while the bus is silent', () => {
  const { clock, routes } = register();
  routes.followed(true);
  routes.restore([routeOf('a.test')], clock.nowMs() - 90_000);
  expect(routes.freshness()).toMatchObject({ source: 'disk', ageMs: 90_000 });
  expect(routes.hasTables).toBe(true);
  expect(routes.find('b.pods.test')).toBeUndefined();
});
