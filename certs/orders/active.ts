import type { Certificate } from '#contracts/certificate.ts';
import type { CertificateState } from '#contracts/certificate-state.ts';
import type { PublicAuthority } from '../acme/authority.ts';
import type { Validity } from '../authority/sign.ts';
import { withOneMade } from '../limits/same-hosts.ts';
import { renewalOf } from '../schedule.ts';

/** What is not so when an order is over. */
export const calm = { order: null, nextAttemptAtMs: null, queuePlace: null } as const;

interface Made {
  readonly authority: PublicAuthority;
  readonly hosts: readonly string[];
  readonly issued: Validity & Pick<Certificate, 'chain' | 'key'>;
  /** Names the certificate when it is renewed; null: the authority does not ask for it. */
  readonly replaces: string | null;
  /** The newest request to rotate. */
  readonly rotation: number;
  readonly nowMs: number;
  /** In [0, 1). */
  readonly fraction: number;
}

/** Pure: a certificate that an authority made, and the state with it. */
export function activated(
  state: CertificateState,
  { authority, hosts, issued, replaces, rotation, nowMs, fraction }: Made,
): { readonly certificate: Certificate; readonly state: CertificateState } {
  const { notBeforeMs, notAfterMs, chain, key } = issued;
  const { order } = state;
  const planned = renewalOf({ notBeforeMs, notAfterMs }, fraction);
  const certificate: Certificate = {
    hosts: [...hosts],
    chain,
    key,
    notBeforeMs,
    notAfterMs,
    renewAtMs: planned.atMs,
    issuer: authority.name,
  };
  const { name, limits } = authority;
  const setBudgets =
    // One that replaces another in its window is none of those that are counted.
    isExempt(state)
      ? state.setBudgets
      : withOneMade(state.setBudgets, { ca: name, hosts }, limits.sameHosts, nowMs);
  const next: CertificateState = {
    ...state,
    ...calm,
    phase: 'active',
    ca: name,
    profile: order?.profile ?? null,
    attempts: [],
    failures: 0,
    rehearsed: false,
    // Asked at once in a turn of its own: the certificate does not wait for it.
    renewal: { ...planned, askAgainAtMs: replaces === null ? null : nowMs },
    notAfterMs,
    replaces,
    rotation,
    setBudgets,
  };
  return { certificate, state: next };
}

/** The order named what it replaces to its end, and began in the window. */
const isExempt = ({ order, renewal }: CertificateState): boolean =>
  order !== null &&
  order.replaces !== null &&
  renewal !== null &&
  renewal.startMs <= order.startedAtMs;
