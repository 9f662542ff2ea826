import { expect, test } from 'vitest';
import { median, quantile, range, ratio } from './statistics.ts';

test('the median is the middle one, or the mean of the two in the middle, whatever the order', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 2, 100])).toBe(3);
  expect(median([])).toBeNaN();
});

test('a quantile is one of the values: the least that covers its share', () => {
  const hundred = Array.from({ length: 100 }, (_, at) => 100 - at);
  expect(quantile(hundred, 0.99)).toBe(99);
  expect(quantile([1, 2, 3], 0.99)).toBe(3);
  expect(quantile([7], 0)).toBe(7);
});

test('the range has the least and the most', () => {
  expect(range([3, 1, 2])).toEqual([1, 3]);
});

test('a ratio per round is not moved by what slows both in one round, the ratio of medians is', () => {
  const slowedAlike = ratio([10, 10, 30], [10, 20, 30]);
  expect(slowedAlike.perRound).toBe(1);
  expect(slowedAlike.ofMedians).toBe(0.5);
  expect(slowedAlike.perRoundRange).toEqual([0.5, 1]);
});

test('rounds that only one side has are not compared', () => {
  expect(ratio([2, 4], [2]).perRound).toBe(1);
});
