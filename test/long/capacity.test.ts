import { expect, test } from 'vitest';
import {
  counting,
  firstWildcardMs,
  lifted,
  lives,
  outcomeOf,
  published,
  warnedShare,
} from '../capacity/scenarios.ts';
import type { Outcome, Scenario } from '../capacity/simulation.ts';

/** 100,000 pods on a virtual clock. */

const pods = 100_000;

/** Nothing is late, refused or without a valid certificate; the rest is to be read. */
function well(what: string, scenario: Scenario): Outcome {
  const outcome = outcomeOf(scenario);
  process.stdout.write(`${what}: ${JSON.stringify(outcome)}\n`);
  expect(outcome).toMatchObject({ late: 0, refused: 0 });
  expect(outcome.leastLeft).toBeGreaterThan(warnedShare);
  expect(outcome.wildcardMissingMs).toBeLessThan(firstWildcardMs);
  return outcome;
}

test('under the published limits 10,000 pods of one domain take almost four years, under the wildcard meanwhile', () => {
  const scenario = { ...published, pods: 10_000, days: 2_000, untilCovered: true };
  expect(well('published limits', scenario).daysToCover).toBeCloseTo(1_396, -1);
});

test('with the limit of the domain lifted 100,000 have their own after 42 days, and all are renewed in time for a year', () => {
  const outcome = well('domain lifted, 90 days', {
    ...published,
    limits: [lifted],
    pods,
    days: 365,
  });
  expect(outcome.daysToCover).toBeCloseTo(41.6, 0);
  expect(outcome.exempt).toBe(outcome.renewed);
});

test('so are certificates of six days', () => {
  const scenario = { ...published, limits: [lifted], lifeMs: lives.sixDays, pods, days: 60 };
  const { daysToCover, renewed } = well('domain lifted, 6 days', scenario);
  expect(daysToCover).toBeCloseTo(41.6, 0);
  expect(renewed).toBeGreaterThan(10 * pods);
});

test('where renewals count like any other order, and nobody tells when to renew, 90 days do as well', () => {
  const limits = [counting(lifted.orders)];
  const scenario = { ...published, limits, windows: false, pods, days: 365 };
  expect(well('renewals count', scenario).daysToCover).toBeLessThan(60);
});

test('all revoked at once are replaced within a day, by those that we serve at a time', () => {
  const scenario = { ...published, limits: [lifted], pods, days: 62, revokedOnDay: 60 };
  const { hoursToReplace } = well('all revoked', scenario);
  expect(hoursToReplace).toBeLessThan(24);
});
