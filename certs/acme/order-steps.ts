import type { Order } from '#contracts/certificate-state.ts';
import type { RemoteOrder } from './session.ts';

/** What is to be done next for an order; each is one call to the authority, or none. */
export type Step =
  | { readonly kind: 'create' }
  | { readonly kind: 'look'; readonly url: string }
  | { readonly kind: 'prove' }
  | { readonly kind: 'prepare' }
  | { readonly kind: 'finalize'; readonly csr: string }
  | { readonly kind: 'wait' }
  | { readonly kind: 'download'; readonly url: string }
  | { readonly kind: 'fail'; readonly reason: string };

// A stuck one would hold up its host for ever; authorities keep an order for days.
const orderLifeMs = 24 * 60 * 60 * 1000;

/**
 * Pure. Everything follows from what was stored and what the authority says the order's state is
 * (RFC 8555, 7.1.6), so whoever goes on with an order does what the one before would have done.
 */
export function nextStep(order: Order, remote: RemoteOrder | undefined, nowMs: number): Step {
  if (nowMs - order.startedAtMs > orderLifeMs) {
    return { kind: 'fail', reason: 'the order did not get anywhere for a day' };
  }
  if (order.url === null) return { kind: 'create' };
  if (!remote) return { kind: 'look', url: order.url };
  switch (remote.status) {
    case 'pending':
      return { kind: 'prove' };
    case 'ready':
      return order.key === null || order.csr === null
        ? { kind: 'prepare' }
        : { kind: 'finalize', csr: order.csr };
    case 'processing':
      return { kind: 'wait' };
    case 'valid':
      if (order.key === null) {
        return { kind: 'fail', reason: 'the order was fulfilled for a key that is not ours' };
      }
      return remote.certificate === undefined
        ? { kind: 'wait' }
        : { kind: 'download', url: remote.certificate };
    case 'invalid':
      return { kind: 'fail', reason: remote.error?.detail ?? 'the authority gave the order up' };
  }
}

/** How long to wait before looking for the `turn`th time; what the authority asks for goes first. */
export const pollDelayMs = (turn: number, askedMs: number | undefined): number =>
  askedMs === undefined || askedMs === 0
    ? Math.min(100 * 2 ** turn, 30_000)
    : Math.min(askedMs, 3_600_000);
