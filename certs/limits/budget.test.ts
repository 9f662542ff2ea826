import { expect, test } from 'vitest';
import type { Account } from './budget.ts';
import { charge, letsEncryptLimits } from './budget.ts';

const dayMs = 24 * 60 * 60 * 1000;
const plain = { urgent: false, exempt: false, renewal: false };

/** How many of a kind are allowed in that many days, asked as often as the limits let us. */
function allowed(days: number, what: typeof plain, limits = letsEncryptLimits): number {
  let account: Account = {};
  let count = 0;
  for (let nowMs = 0; nowMs < days * dayMs;) {
    const answer = charge(account, limits, what, nowMs);
    if ('account' in answer) {
      ({ account } = answer);
      count += 1;
    } else nowMs = answer.waitUntilMs;
  }
  return count;
}

test('of one domain a public authority gives about seven new certificates a day', () => {
  expect(allowed(70, plain) / 70).toBeCloseTo(7.8, 0);
});

test('with the limit of the domain lifted, 100,000 pods have their own after 42 days', () => {
  const lifted = { ...letsEncryptLimits, certificates: undefined };
  expect(allowed(41, plain, lifted)).toBeLessThan(100_000);
  expect(allowed(42, plain, lifted)).toBeGreaterThan(100_000);
});

test('a renewal of the same hosts costs an order only where the authority counts it, and never the domain', () => {
  const spent: Account = {
    orders: { tokens: 300, atMs: 0 },
    certificates: { tokens: 0, atMs: 0 },
  };
  const renewal = { ...plain, renewal: true };
  expect(charge(spent, letsEncryptLimits, renewal, 0)).toEqual({ account: spent });
  const counting = { ...letsEncryptLimits, renewalsCount: true };
  expect(charge(spent, counting, renewal, 0)).toMatchObject({
    account: { orders: { tokens: 299 }, certificates: { tokens: 0 } },
  });
  expect(charge(spent, letsEncryptLimits, plain, 0)).toHaveProperty('waitUntilMs');
});

test('renewals in the window of the authority are never held up; urgent ones have a reserve', () => {
  let account: Account = {};
  for (;;) {
    const answer = charge(account, letsEncryptLimits, plain, 0);
    if (!('account' in answer)) break;
    ({ account } = answer);
  }
  expect(charge(account, letsEncryptLimits, { ...plain, exempt: true }, 0)).toEqual({ account });
  expect(charge(account, letsEncryptLimits, { ...plain, urgent: true }, 0)).toHaveProperty(
    'account',
  );
});
