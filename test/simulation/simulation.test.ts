import { describe, expect, test } from 'vitest';
import { clockConforms } from '../conformance/clock.ts';
import { Life } from './life.ts';
import { plants } from './plants.ts';
import { controllersCount, gatewaysCount, simulate } from './simulation.ts';
import { Timeline } from './timeline.ts';
import { operationsCount, podsCount } from './workload.ts';

const seeds = [1, 2, 3, 4, 5, 6, 7, 8];

clockConforms('the clock of a simulated program', () => {
  const timeline = new Timeline(false);
  const { clock } = new Life('program/1', timeline, 0, (error) => {
    throw error;
  });
  return { clock, pass: (ms) => timeline.advanceTo(timeline.elapsedMs + ms) };
});

describe('a simulation', () => {
  test('has what is asked of it', () => {
    expect(controllersCount).toBeGreaterThanOrEqual(2);
    expect(gatewaysCount).toBeGreaterThanOrEqual(3);
    expect(podsCount).toBeGreaterThanOrEqual(20);
    expect(operationsCount).toBeGreaterThanOrEqual(200);
  });

  test.each(seeds)('seed %i ends as desired state asks, whatever failed', async (seed) => {
    const { violations, operations, faults } = await simulate(seed, plants.none);
    expect(violations).toEqual([]);
    const { done, refused, unknown } = operations;
    expect(done + refused + unknown).toBeGreaterThanOrEqual(operationsCount - faults);
    expect(done).toBeGreaterThan(operationsCount / 4);
    expect(faults).toBeGreaterThanOrEqual(10);
  });

  test('the same seed goes the same way to its last step, another one does not', async () => {
    const [first, again, other] = [
      await simulate(7, plants.none, true),
      await simulate(7, plants.none, true),
      await simulate(8, plants.none),
    ];
    expect(again.trace).toEqual(first.trace);
    expect(again.hash).toBe(first.hash);
    expect(other.hash).not.toBe(first.hash);
  });

  test('a bug that is planted is found, and found again by its seed', async () => {
    const plant = plants['last write wins on desired state'];
    const first = await simulate(1, plant);
    expect(first.violations.map(({ rule }) => rule)).toContain('an accepted write was lost');
    expect(await simulate(1, plant)).toEqual(first);
  });
});
