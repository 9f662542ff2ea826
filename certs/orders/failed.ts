import type { CertificateState } from '#contracts/certificate-state.ts';
import { CaProblem, OrderWaits, ProofProblem } from '../acme/problem.ts';
import { backoffMs, preflightBackoffMs } from './choose.ts';
import { withAttempt } from './records.ts';

export interface Failed {
  readonly state: CertificateState;
  /** Why the authority as a whole is left alone; undefined: it is not. */
  readonly blame: CaProblem | undefined;
}

export interface Failure {
  readonly error: Error;
  readonly ca: string;
  readonly nowMs: number;
  readonly fraction: number;
}

/** Pure: the state after a try that did not succeed. */
export function afterFailure(state: CertificateState, failure: Failure): Failed {
  const { error, ca, nowMs, fraction } = failure;
  if (error instanceof OrderWaits) {
    const waits = { ...state, nextAttemptAtMs: error.untilMs };
    return { state: waits, blame: undefined };
  }
  const attempts = withAttempt(state, { atMs: nowMs, ca, error: error.message });
  const next = { ...state, attempts, queuePlace: null };
  if (error instanceof CaProblem && (error.passing || error.limited)) {
    return ofAuthority(next, error, failure);
  }
  const failures = state.failures + 1;
  if (error instanceof ProofProblem && !error.judged) {
    // Nothing was spent, and the order stands: the next try goes on with it.
    const nextAttemptAtMs = nowMs + preflightBackoffMs(failures, fraction);
    const stands: CertificateState = { ...next, phase: 'backoff', failures, nextAttemptAtMs };
    return { state: stands, blame: undefined };
  }
  const over: CertificateState = {
    ...next,
    phase: 'backoff',
    failures,
    rehearsed: false,
    order: null,
    nextAttemptAtMs: nowMs + backoffMs(failures, fraction),
  };
  return { state: over, blame: undefined };
}

/** An order that the authority has begun stands; else the next one may be another authority's. */
function ofAuthority(next: CertificateState, error: CaProblem, failure: Failure): Failed {
  const { nowMs, fraction } = failure;
  const order = next.order?.url ? next.order : null;
  const askedMs = error.retryAfterMs;
  if (error.limited && error.ofOneName) {
    const failures = next.failures + 1;
    const waitMs = Math.max(askedMs ?? 0, backoffMs(failures, fraction));
    const state: CertificateState = {
      ...next,
      phase: 'backoff',
      failures,
      order,
      nextAttemptAtMs: nowMs + waitMs,
    };
    return { state, blame: undefined };
  }
  const state: CertificateState = { ...next, phase: 'queued', order, nextAttemptAtMs: null };
  return { state, blame: error };
}
