import { assert, double, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import { renewAtMs } from './schedule.ts';

const dayMs = 24 * 60 * 60 * 1000;
const month = { notBeforeMs: 0, notAfterMs: 30 * dayMs };

test('a certificate is renewed at two thirds of its life, in the middle of the jitter', () => {
  expect(renewAtMs(month, 0.5)).toBe(20 * dayMs);
});

test('jitter moves it by up to a twelfth of the life either way', () => {
  expect(renewAtMs(month, 0)).toBe(17.5 * dayMs);
  expect(renewAtMs(month, 0.999_999)).toBeCloseTo(22.5 * dayMs, -5);
});

test('for any life it lies between half of it and five sixths', () => {
  const fraction = double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  assert(
    property(integer({ min: 0 }), integer({ min: 1000 }), fraction, (notBeforeMs, lifeMs, at) => {
      const renew = renewAtMs({ notBeforeMs, notAfterMs: notBeforeMs + lifeMs }, at) - notBeforeMs;
      expect(renew).toBeGreaterThan(lifeMs / 2);
      expect(renew).toBeLessThan((lifeMs * 5) / 6);
    }),
  );
});
