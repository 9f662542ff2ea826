import type { CertificateState, Order } from '#contracts/certificate-state.ts';
import type { Wanted } from '../wanted.ts';

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
