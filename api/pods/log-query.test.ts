import { expect, test } from 'vitest';
import { sinceMs } from './log-query.ts';

const nowMs = Date.UTC(2026, 10, 24, 12);

test.each([
  ['10m', nowMs - 600_000],
  ['1h30m', nowMs - 5_400_000],
  ['90s', nowMs - 90_000],
  ['2d', nowMs - 172_800_000],
  ['0s', nowMs],
  ['1d1h1m1s', nowMs - 90_061_000],
  ['2026-11-24T08:46:03Z', Date.UTC(2026, 10, 24, 8, 46, 3)],
  ['2026-11-24T08:46:03.250000', Date.UTC(2026, 10, 24, 8, 46, 3, 250)],
  ['2026-11-24T08:46:03+02:00', Date.UTC(2026, 10, 24, 6, 46, 3)],
  ['2026-11-24T08:46', Date.UTC(2026, 10, 24, 8, 46)],
  ['2026-11-24', Date.UTC(2026, 10, 24)],
])('%s is a time', (text, want) => {
  expect(sinceMs(text, nowMs)).toBe(want);
});

test.each([
  '',
  '10',
  'm',
  '-10m',
  '10m1h',
  '1.5h',
  ' 10m',
  'yesterday',
  '2026-02-30',
  '2026-11-24T25:00:00Z',
  '2026-11-24T08:46:03 02:00',
  '1732437963',
])('%j is none', (text) => {
  expect(sinceMs(text, nowMs)).toBeUndefined();
});
