import { expect, test } from 'vitest';
import { systemRandom } from './random.ts';

test('bytes have the length asked for and do not repeat', () => {
  expect(systemRandom.bytes(0)).toHaveLength(0);
  const drawn = Array.from({ length: 100 }, () => systemRandom.bytes(16));
  expect(drawn.every((bytes) => bytes.length === 16)).toBe(true);
  expect(new Set(drawn.map((bytes) => bytes.toString('hex'))).size).toBe(100);
});

test('a fraction is in [0, 1) and varies', () => {
  const drawn = Array.from({ length: 1000 }, () => systemRandom.fraction());
  expect(drawn.every((value) => value >= 0 && value < 1)).toBe(true);
  expect(new Set(drawn).size).toBeGreaterThan(900);
});
