import type { Certificate } from '#contracts/certificate.ts';
import type { CertificateState } from '#contracts/certificate-state.ts';
import type { Wanted } from '../wanted.ts';

const dayMs = 24 * 60 * 60 * 1000;

/** Classes of the queue, most urgent first. */
export const priorities = {
  /** A certificate is about to end, or everything waits for it; or an order is under way. */
  urgent: 0,
  renewal: 1,
  /** Clients come to the pod. */
  inUse: 2,
  newPod: 3,
  idle: 4,
} as const;
type Priority = (typeof priorities)[keyof typeof priorities];

/** What an order is to its authority, and to us. */
export interface Need {
  readonly priority: Priority;
  /** The authority's limits count it, as it does not renew what is there. */
  readonly counted: boolean;
}

export interface Facts {
  readonly wanted: Wanted;
  readonly certificate: Certificate | undefined;
  /** It is from an authority that is configured, and not from our own. */
  readonly fromPublic: boolean;
  readonly keyOpens: boolean;
  readonly state: CertificateState | undefined;
  /** The newest request to rotate. */
  readonly rotation: number;
  readonly inUse: boolean;
  readonly nowMs: number;
}

export type Assessment =
  | { readonly kind: 'order'; readonly reason: string; readonly need: Need }
  /** The authority's window for renewing is to be read again. */
  | { readonly kind: 'ask' }
  | { readonly kind: 'rest'; readonly untilMs: number };

/** Pure: what a certificate from a public authority needs now. */
export function assess(facts: Facts): Assessment {
  const { state, nowMs } = facts;
  const reason = reasonToOrder(facts);
  if (reason !== undefined) {
    // What has to wait after a failure waits, whatever the reason.
    const notBeforeMs = state?.nextAttemptAtMs ?? 0;
    if (notBeforeMs > nowMs) return { kind: 'rest', untilMs: notBeforeMs };
    return { kind: 'order', reason, need: { priority: priorityOf(facts), counted: counts(facts) } };
  }
  const askAgainAtMs = state?.renewal?.askAgainAtMs ?? Infinity;
  if (askAgainAtMs <= nowMs) return { kind: 'ask' };
  return { kind: 'rest', untilMs: Math.min(renewalAtMs(facts), askAgainAtMs) };
}

function reasonToOrder(facts: Facts): string | undefined {
  const { certificate, fromPublic, wanted, state, nowMs } = facts;
  if (state?.order) return 'an order is under way';
  if (!certificate || !fromPublic) return 'no certificate yet';
  if (certificate.hosts.join() !== wanted.hosts.join()) return 'its hosts are others now';
  if (!facts.keyOpens) return 'its key does not open';
  if (facts.rotation > (state?.rotation ?? 0)) return 'a new key was asked for';
  return renewalAtMs(facts) <= nowMs ? 'its renewal is due' : undefined;
}

// An authority whose window is always in the past would have us order without end.
const ageLeastMs = 6 * 60 * 60 * 1000;

function renewalAtMs({ state, certificate }: Facts): number {
  if (!certificate) return Infinity;
  const lifeMs = certificate.notAfterMs - certificate.notBeforeMs;
  const leastMs = certificate.notBeforeMs + Math.min(ageLeastMs, lifeMs / 20);
  return Math.max(state?.renewal?.atMs ?? certificate.renewAtMs, leastMs);
}

/** An order under way was counted when it began. */
const counts = ({ state, certificate, fromPublic, wanted }: Facts): boolean =>
  !state?.order && !(fromPublic && certificate?.hosts.join() === wanted.hosts.join());

function priorityOf({ certificate, fromPublic, wanted, state, inUse, nowMs }: Facts): Priority {
  if (state?.order) return priorities.urgent;
  if (certificate && fromPublic) {
    const leftMs = certificate.notAfterMs - nowMs;
    const lifeMs = certificate.notAfterMs - certificate.notBeforeMs;
    if (leftMs < Math.min(2 * dayMs, lifeMs / 6)) return priorities.urgent;
    // The window lies behind us: the authority is about to revoke it (RFC 9773, 4.2).
    if (state?.renewal && state.renewal.endMs <= nowMs) return priorities.urgent;
    return priorities.renewal;
  }
  if (wanted.createdAtMs === null) return priorities.urgent;
  if (inUse) return priorities.inUse;
  return nowMs - wanted.createdAtMs < dayMs ? priorities.newPod : priorities.idle;
}
