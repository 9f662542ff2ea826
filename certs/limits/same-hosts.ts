import type { SetBudget } from '#contracts/certificate-state.ts';
import { setBudgetsMax } from '#contracts/certificate-state.ts';
import type { Limit } from './budget.ts';
import { enoughAtMs, refilled } from './budget.ts';

/** Whom we ask, for which hosts (sorted). */
interface Asked {
  readonly ca: string;
  readonly hosts: readonly string[];
}

const isOf =
  ({ ca, hosts }: Asked) =>
  (each: SetBudget): boolean =>
    each.ca === ca && each.hosts.join() === hosts.join();

/**
 * Pure: when an authority gives one more certificate of exactly these hosts; not after `nowMs`: at
 * once. It counts those that it made, so tries that failed cost nothing here.
 */
export function sameHostsAtMs(
  budgets: readonly SetBudget[],
  asked: Asked,
  limit: Limit | undefined,
  nowMs: number,
): number {
  const known = budgets.find(isOf(asked));
  if (!limit || !known) return nowMs;
  return enoughAtMs(refilled(known, limit, nowMs), limit, 1);
}

/** Pure: with one more that was made. The oldest of too many is forgotten. */
export function withOneMade(
  budgets: readonly SetBudget[],
  asked: Asked,
  limit: Limit | undefined,
  nowMs: number,
): SetBudget[] {
  if (!limit) return [...budgets];
  const { tokens } = refilled(budgets.find(isOf(asked)), limit, nowMs);
  const spent = { ...asked, hosts: [...asked.hosts], tokens: Math.max(0, tokens - 1), atMs: nowMs };
  return [...budgets.filter((each) => !isOf(asked)(each)), spent].slice(-setBudgetsMax);
}
