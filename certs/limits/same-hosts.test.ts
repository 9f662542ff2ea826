import { expect, test } from 'vitest';
import type { SetBudget } from '#contracts/certificate-state.ts';
import { letsEncryptLimits } from './budget.ts';
import { sameHostsAtMs, withOneMade } from './same-hosts.ts';

const hourMs = 60 * 60 * 1000;
const limit = letsEncryptLimits.sameHosts;
const shop = { ca: 'ca', hosts: ['shop.example.org'] };

test('of the same hosts there are five at once, then one each 34 hours', () => {
  let budgets: SetBudget[] = [];
  const madeAtMs: number[] = [];
  for (let nowMs = 0; nowMs < 7 * 24 * hourMs;) {
    const atMs = sameHostsAtMs(budgets, shop, limit, nowMs);
    if (atMs > nowMs) nowMs = atMs;
    else {
      madeAtMs.push(nowMs);
      budgets = withOneMade(budgets, shop, limit, nowMs);
    }
  }
  expect(madeAtMs).toEqual([0, 0, 0, 0, 0, 34, 68, 102, 136].map((hours) => hours * hourMs));
});

test('other hosts and other authorities count apart, and the oldest are forgotten', () => {
  let budgets: SetBudget[] = [];
  for (let made = 0; made < 5; made += 1) budgets = withOneMade(budgets, shop, limit, 0);
  expect(sameHostsAtMs(budgets, shop, limit, 0)).toBe(34 * hourMs);
  expect(sameHostsAtMs(budgets, { ...shop, ca: 'other' }, limit, 0)).toBe(0);
  expect(sameHostsAtMs(budgets, { ...shop, hosts: ['x.example.org'] }, limit, 0)).toBe(0);
  expect(sameHostsAtMs(budgets, shop, undefined, 0)).toBe(0);
  for (const name of ['a', 'b', 'c', 'd'])
    budgets = withOneMade(budgets, { ...shop, hosts: [name] }, limit, 0);
  expect(budgets.map(({ hosts }) => hosts[0])).toEqual(['a', 'b', 'c', 'd']);
});
