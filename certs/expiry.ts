import type { Certificate } from '#contracts/certificate.ts';
import { lateAtMs } from '#contracts/certificate.ts';
import { podPrefix, tenantPrefix, tenantWildcardPrefix } from './wanted.ts';

export const expiryKinds = ['site', 'tenant', 'pod'] as const;
type ExpiryKind = (typeof expiryKinds)[number];

/** `late`: should have been renewed; `expired`: clients refuse it. */
export const expiryStates = ['valid', 'late', 'expired'] as const;
type ExpiryState = (typeof expiryStates)[number];

/** How certificates that are wanted stand with their ends. */
export interface Expiry {
  readonly counts: Readonly<Record<ExpiryState, number>>;
  /** When the first of each kind ends; undefined: there is none. */
  readonly soonestMs: Readonly<Partial<Record<ExpiryKind, number>>>;
}

type Life = Pick<Certificate, 'notBeforeMs' | 'notAfterMs'>;

/** Pure. */
export function expiryOf(
  found: Iterable<readonly [id: string, certificate: Life]>,
  nowMs: number,
): Expiry {
  const counts = { valid: 0, late: 0, expired: 0 };
  const soonestMs: Partial<Record<ExpiryKind, number>> = {};
  for (const [id, certificate] of found) {
    counts[stateOf(certificate, nowMs)] += 1;
    const kind = kindOf(id);
    soonestMs[kind] = Math.min(soonestMs[kind] ?? Infinity, certificate.notAfterMs);
  }
  return { counts, soonestMs };
}

function stateOf(certificate: Life, nowMs: number): ExpiryState {
  if (certificate.notAfterMs <= nowMs) return 'expired';
  return lateAtMs(certificate) < nowMs ? 'late' : 'valid';
}

function kindOf(id: string): ExpiryKind {
  if (id.startsWith(podPrefix)) return 'pod';
  return id.startsWith(tenantPrefix) || id.startsWith(tenantWildcardPrefix) ? 'tenant' : 'site';
}
