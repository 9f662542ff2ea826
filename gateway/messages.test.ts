import { expect, test } from 'vitest';
import type { Route } from '#contracts/route.ts';
import { routeMessages } from './messages.ts';
import { RouteTable } from './route-table.ts';
import { exampleRoute } from '../test/gateway-examples.ts';

const routeOf = (host: string): Route => exampleRoute({ host });
const hosts = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => `h${at}.pods.test`);

test.each([
  [0, 0, 1],
  [1, 0, 1],
  [1_000, 3, 1],
  [1_001, 0, 2],
  [2, 2_500, 3],
])('%i puts and %i drops are %i messages that lose nothing; the last has the step', (...counts) => {
  const [puts, drops, messages] = counts;
  const parts = [...routeMessages(hosts(puts).map(routeOf), hosts(drops), 9)].flatMap((message) =>
    message.kind === 'routes' ? [message] : [],
  );
  expect(parts).toHaveLength(messages);
  expect(parts.flatMap((part) => part.puts.map(({ host }) => host))).toEqual(hosts(puts));
  expect(parts.flatMap((part) => part.drops)).toEqual(hosts(drops));
  expect(parts.map(({ step }) => step)).toEqual([
    ...Array.from({ length: messages - 1 }, () => undefined),
    9,
  ]);
});

test('a table that is not complete calls no pod unknown, and other names always', () => {
  const table = new RouteTable('test', { host: '127.0.0.1', port: 1 });
  table.apply({ puts: [routeOf('h0.pods.test'), { ...routeOf('test'), pod: 'thief' }], drops: [] });
  expect(table.find('h0.pods.test')?.state).toBe('ready');
  expect(table.find('test')?.pod).toBe('api');
  expect(table.find('h1.pods.test')).toMatchObject({ state: 'starting', upstream: null });
  expect(table.find('pods.test')).toBeUndefined();
  expect(table.find('evilpods.test')).toBeUndefined();
  table.complete();
  expect(table.find('h1.pods.test')).toBeUndefined();
  table.apply({ puts: [], drops: ['h0.pods.test', 'test'] });
  expect(table.find('h0.pods.test')).toBeUndefined();
  expect(table.find('test')?.pod).toBe('api');
});

test('a domain is served while there is a certificate for its pods, our own always', () => {
  const table = new RouteTable('test', { host: '127.0.0.1', port: 1 });
  table.complete();
  expect(table.isForPods('h.pods.acme.test')).toBe(false);
  table.apply({ puts: [routeOf('acme.test'), routeOf('h.pods.acme.test')], drops: [] });
  table.heed({ domain: 'acme.test', identity: 'a certificate' });
  expect(table.find('acme.test')?.pod).toBe('api');
  expect(table.isForPods('h.pods.acme.test')).toBe(true);
  expect(table.isForPods('h.h.pods.acme.test')).toBe(false);
  for (const domain of ['test', 'acme.test']) table.heed({ domain, identity: undefined });
  expect([table.isApi('test'), table.isApi('acme.test')]).toEqual([true, false]);
  expect([table.isForPods('h.pods.test'), table.isForPods('h.pods.acme.test')]).toEqual([
    true,
    false,
  ]);
  expect(table.find('h.pods.acme.test')?.pod).toBe('a');
});
