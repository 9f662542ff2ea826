import type { Limits } from '../../certs/limits/budget.ts';
import { letsEncryptLimits } from '../../certs/limits/budget.ts';
import type { Outcome, Scenario } from './simulation.ts';
import { Capacity, dayMs, hourMs } from './simulation.ts';

/** The limit of the registered domain lifted, as a large authority does on request. */
export const lifted: Limits = { ...letsEncryptLimits, certificates: undefined };
/** An authority that counts renewals like any other order, and tells no windows. */
export const counting = (orders: Limits['orders']): Limits => ({
  orders,
  certificates: undefined,
  sameHosts: undefined,
  renewalsCount: true,
});

export const lives = { ninetyDays: 90 * dayMs, sixDays: 160 * hourMs };

export const published = {
  limits: [letsEncryptLimits],
  lifeMs: lives.ninetyDays,
  windows: true,
} as const;

export const outcomeOf = (scenario: Scenario): Outcome => new Capacity(scenario).run();

/** What holds however many pods and whatever limits: a life's last sixth is when the API warns. */
export const warnedShare = 1 / 6;
export const firstWildcardMs = 60_000; // until then our own authority's stands in
