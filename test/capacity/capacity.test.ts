import { expect, test } from 'vitest';
import { letsEncryptLimits } from '../../certs/limits/budget.ts';
import type { Assessment, Need } from '../../certs/orders/assess.ts';
import { priorities } from '../../certs/orders/assess.ts';
import {
  counting,
  firstWildcardMs,
  lives,
  outcomeOf,
  published,
  warnedShare,
} from './scenarios.ts';
import type { Scenario } from './simulation.ts';
import { dayMs, hourMs } from './simulation.ts';

/** Fewer pods than a site has, and smaller limits; `test/long/capacity.test.ts` has 100,000. */

/** A bug in what `assess` says of those needs. */
const planted =
  (of: Need['priority'], change: Partial<Need>) =>
  (found: Assessment): Assessment =>
    found.kind === 'order' && found.need.priority === of
      ? { ...found, need: { ...found.need, ...change } }
      : found;

test('under published limits a domain gets about seven certificates a day; a second authority gives as many again', () => {
  const scenario: Scenario = { ...published, pods: 1_000, days: 1_000, untilCovered: true };
  const one = outcomeOf(scenario);
  expect(one).toMatchObject({ covered: 1_000, late: 0, refused: 0 });
  expect(1_000 / (one.daysToCover ?? 0)).toBeCloseTo(7.4, 0);
  expect(one.exempt).toBe(one.renewed);
  const two = outcomeOf({ ...scenario, limits: [letsEncryptLimits, letsEncryptLimits] });
  expect(two).toMatchObject({ late: 0, refused: 0 });
  expect((two.daysToCover ?? 0) / (one.daysToCover ?? 0)).toBeCloseTo(0.5, 1);
});

test('an authority whose limits are smaller than we were told refuses: the simulation would see it', () => {
  const told = [{ ...letsEncryptLimits, certificates: { size: 50, refillMs: 100 * 60_000 } }];
  expect(outcomeOf({ ...published, told, pods: 200, days: 100 }).refused).toBeGreaterThan(0);
});

// 24 orders a day, and pods without end: what renewals need is what new ones do not get.
const crowded: Scenario = {
  limits: [counting({ size: 10, refillMs: hourMs })],
  lifeMs: lives.ninetyDays,
  windows: false,
  pods: 3_000,
  days: 200,
};

test('where every order counts and new pods never end, renewals are in time; behind new ones they would not be', () => {
  const outcome = outcomeOf(crowded);
  expect(outcome).toMatchObject({ late: 0, refused: 0 });
  expect(outcome.leastLeft).toBeGreaterThan(warnedShare);
  expect(outcome.wildcardMissingMs).toBeLessThan(firstWildcardMs);
  const last = planted(priorities.renewal, { priority: priorities.idle, counted: true });
  expect(outcomeOf({ ...crowded, planted: last }).leastLeft).toBeLessThan(warnedShare);
});

test('the wildcard is there from the first minute on; if it queued with the pods it would be missing', () => {
  const hybrid: Scenario = { ...published, pods: 1_000, days: 30 };
  expect(outcomeOf(hybrid).wildcardMissingMs).toBeLessThan(firstWildcardMs);
  const last = planted(priorities.urgent, { priority: priorities.idle });
  expect(outcomeOf({ ...hybrid, planted: last }).wildcardMissingMs).toBeGreaterThan(dayMs);
});

test('thousands that get another host keep no renewal waiting; if limits held up all of a class they would', () => {
  const scenario: Scenario = {
    ...published,
    limits: [{ ...letsEncryptLimits, certificates: { size: 700, refillMs: dayMs / 100 } }],
    lifeMs: lives.sixDays,
    pods: 1_000,
    days: 40,
    otherHosts: { pods: 900, day: 20 },
  };
  const outcome = outcomeOf(scenario);
  expect(outcome).toMatchObject({ late: 0, refused: 0 });
  // Half a life, and what the window adds.
  expect(outcome.leastLeft).toBeGreaterThan(0.45);
  const all = planted(priorities.renewal, { counted: false });
  expect(outcomeOf({ ...scenario, planted: all }).leastLeft).toBeLessThan(warnedShare);
});
