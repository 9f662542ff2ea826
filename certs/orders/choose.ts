import type { Attempt } from '#contracts/certificate-state.ts';
import type { PublicAuthorities, PublicAuthority } from '../acme/authority.ts';

const failuresMax = 3; // of one authority in a row, then the next one is asked
const minuteMs = 60 * 1000;
const dayMs = 24 * 60 * minuteMs;
const preflightMs = { first: 30_000, most: 60 * minuteMs };

interface History {
  readonly attempts: readonly Attempt[];
  readonly failures: number;
  readonly rehearsed: boolean;
}

/**
 * Pure: whom to ask, in this order. After a failure the staging authority goes first, where there is
 * one: its limits are wide, and a second failure for real would count.
 */
export function candidates(
  { real, staging }: PublicAuthorities,
  { attempts, failures, rehearsed }: History,
): readonly PublicAuthority[] {
  if (failures > 0 && !rehearsed && staging) return [staging];
  const tired = (name: string): boolean => {
    const last = attempts.slice(-failuresMax);
    return last.length === failuresMax && last.every(({ ca }) => ca === name);
  };
  return real.toSorted((a, b) => Number(tired(a.name)) - Number(tired(b.name)));
}

/**
 * How long a host waits after its `failures`th failure: 1, 10, 100 minutes, then a day. Authorities count
 * five failed validations an hour. `fraction` is in [0, 1).
 */
export const backoffMs = (failures: number, fraction: number): number =>
  Math.min(minuteMs * 10 ** (failures - 1), dayMs) * (0.9 + 0.2 * fraction);

/** The same where nothing was spent: only we looked. */
export const preflightBackoffMs = (failures: number, fraction: number): number =>
  Math.min(preflightMs.first * 2 ** (failures - 1), preflightMs.most) * (0.9 + 0.2 * fraction);
