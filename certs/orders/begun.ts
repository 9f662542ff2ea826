import type { CertificateState, Order } from '#contracts/certificate-state.ts';
import type { Wanted } from '../wanted.ts';
import type { Wait } from './admit.ts';
import { withAttempt } from './records.ts';

/** The state with an order that is about to be asked for. */
export const begunState = (
  { state, wanted }: { readonly state: CertificateState; readonly wanted: Wanted },
  order: Order,
): CertificateState => ({
  ...state,
  mode: wanted.mode,
  phase: 'ordering',
  ca: order.ca,
  profile: order.profile,
  nextAttemptAtMs: null,
  queuePlace: null,
  order,
});

/** The state of one that is held up for its own sake. */
export const restingUntil = (
  state: CertificateState,
  { untilMs, reason }: Wait,
  nowMs: number,
): CertificateState => ({
  ...state,
  nextAttemptAtMs: untilMs,
  attempts:
    reason === undefined
      ? state.attempts
      : withAttempt(state, { atMs: nowMs, ca: state.ca ?? '', error: reason }),
});
