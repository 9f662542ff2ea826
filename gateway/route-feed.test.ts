import { describe, expect, test } from 'vitest';
import type { Route } from '#contracts/route.ts';
import { changeFor } from './route-feed.ts';
import { RouteLedger } from './route-ledger.ts';
import { exampleRoute } from '../test/gateway-examples.ts';
import { dropOf, putOf, snapshotOf } from '../test/route-events.ts';

const routeOf = (host: string): Route => exampleRoute({ host });
const tableOf = (count: number): Map<string, Route> =>
  new Map(
    Array.from({ length: count }, (_, index) => [`h${index}.test`, routeOf(`h${index}.test`)]),
  );
const empty = new Map<string, Route>();
const unheard = new RouteLedger();

test('a put is a put and a drop is a drop', () => {
  const put = putOf(7, 'a.test', routeOf('a.test'));
  const nothing = { puts: [], drops: [], quarantined: [], revision: 7 };
  expect(changeFor(put, empty, unheard)).toEqual({ ...nothing, puts: [routeOf('a.test')] });
  expect(changeFor(dropOf(7, 'a.test'), empty, unheard)).toEqual({
    ...nothing,
    drops: ['a.test'],
  });
});

describe('a value that does not validate is put aside', () => {
  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['a text', 'route'],
    ['a route of another host', routeOf('b.test')],
    ['an unknown protocol', { ...routeOf('a.test'), protocol: 'gopher' }],
    ['a port that is none', { ...routeOf('a.test'), upstream: { host: '127.0.0.1', port: 0 } }],
    ['an unknown field', { ...routeOf('a.test'), more: 1 }],
  ])('%s', (_name, route) => {
    const change = changeFor(putOf(1, 'a.test', route), empty, unheard);
    expect(change).toMatchObject({ puts: [], drops: [], quarantined: [{ host: 'a.test' }] });
  });

  test('its host keeps the route it has, and the rest of a snapshot counts', () => {
    const routes = new Map([
      ['h0.test', { revision: 2, route: 'broken' }],
      ['h1.test', { revision: 2, route: routeOf('h1.test') }],
    ]);
    const event = snapshotOf(2, [], { routes, shrinkIntended: false });
    expect(changeFor(event, tableOf(3), unheard)).toMatchObject({
      puts: [routeOf('h1.test')],
      drops: ['h2.test'],
      quarantined: [{ host: 'h0.test' }],
    });
  });
});

describe('a snapshot that loses more than a fifth, and more than ten', () => {
  test.each<[number, number, boolean, number | 'refused']>([
    [100, 80, false, 20],
    [100, 79, false, 'refused'],
    [100, 79, true, 21],
    [100, 0, true, 100],
    [10, 0, false, 10],
    [11, 0, false, 'refused'],
    [0, 0, false, 0],
  ])('of %i routes keeping %i, intended %s: %s', (before, after, shrinkIntended, expected) => {
    const event = snapshotOf(1, [...tableOf(after).values()], { shrinkIntended });
    const change = changeFor(event, tableOf(before), unheard);
    expect(change === 'refused' ? change : change.drops.length).toBe(expected);
  });
});
