import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { parseExposition } from '../../test/exposition.ts';
import { counter, gauge, histogram } from './series.ts';

test('what is no longer said is no longer shown', async () => {
  const registry = new Registry();
  let workers = ['0', '1'];
  gauge(registry, { name: 'lag', help: 'Lag.', labelNames: ['worker'] }, () =>
    workers.map((worker) => ({ labels: { worker }, value: 0.25 })),
  );
  expect((await parseExposition(registry)).get('lag')?.samples).toEqual([
    { name: 'lag', labels: { worker: '0' }, value: 0.25 },
    { name: 'lag', labels: { worker: '1' }, value: 0.25 },
  ]);
  workers = ['1'];
  expect((await parseExposition(registry)).get('lag')?.samples).toHaveLength(1);
});

test('a scrape changes no counter, and labels may hold anything', async () => {
  const registry = new Registry();
  const why = 'a "quote", a \\ and\na line';
  counter(
    registry,
    { name: 'hits_total', help: 'Hits of\nall kinds \\.', labelNames: ['why'] },
    () => [{ labels: { why }, value: 7 }],
  );
  counter(registry, { name: 'plain_total', help: 'Plain.' }, () => 3);
  for (let scrape = 0; scrape < 2; scrape += 1) {
    const families = await parseExposition(registry);
    expect(families.get('hits_total')).toMatchObject({
      type: 'counter',
      samples: [{ labels: { why }, value: 7 }],
    });
    expect(families.get('plain_total')?.samples).toEqual([
      { name: 'plain_total', labels: {}, value: 3 },
    ]);
  }
});

test('a histogram is rendered with buckets that add up', async () => {
  const registry = new Registry();
  const named = { name: 'took_seconds', help: 'Took.', labelNames: ['kind'], bounds: [0.1, 1] };
  histogram(registry, named, () => [{ labels: { kind: 'a' }, counts: [2, 3, 4], sum: 12.5 }]);
  const family = (await parseExposition(registry)).get('took_seconds');
  expect(family?.type).toBe('histogram');
  expect(family?.samples.map(({ name, labels, value }) => [name, labels['le'], value])).toEqual([
    ['took_seconds_bucket', '0.1', 2],
    ['took_seconds_bucket', '1', 5],
    ['took_seconds_bucket', '+Inf', 9],
    ['took_seconds_sum', undefined, 12.5],
    ['took_seconds_count', undefined, 9],
  ]);
});

test.each([
  ['a sample without its type', 'a 1\n'],
  ['a type after its samples', '# HELP a A.\n# TYPE a gauge\na 1\n# TYPE a gauge\n'],
  ['a sample twice', '# HELP a A.\n# TYPE a gauge\na 1\na 2\n'],
  ['a label that does not end', '# HELP a A.\n# TYPE a gauge\na{b="c} 1\n'],
  ['a value that is none', '# HELP a A.\n# TYPE a gauge\na NaNa\n'],
  ['a counter that goes below zero', '# HELP a_total A.\n# TYPE a_total counter\na_total -1\n'],
  ['a counter without _total', '# HELP a A.\n# TYPE a counter\na 1\n'],
  ['no line end at the end', '# HELP a A.\n# TYPE a gauge\na 1'],
  [
    'buckets that shrink',
    '# HELP a A.\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
  ],
  [
    'a count that is not the last bucket',
    '# HELP a A.\n# TYPE a histogram\na_bucket{le="+Inf"} 1\na_sum 1\na_count 2\n',
  ],
])('the parser that tests read scrapes with refuses %s', async (_what, text) => {
  await expect(parseExposition({ metrics: async () => text })).rejects.toThrow();
});
