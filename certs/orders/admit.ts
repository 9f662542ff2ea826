import type { Certificate } from '#contracts/certificate.ts';
import type { CertificateState } from '#contracts/certificate-state.ts';
import type { PublicAuthority } from '../acme/authority.ts';
import type { Charge } from '../limits/budget.ts';
import { charge } from '../limits/budget.ts';
import { sameHostsAtMs } from '../limits/same-hosts.ts';
import type { Standing } from '../limits/standing.ts';
import type { Wanted } from '../wanted.ts';

const hourMs = 60 * 60 * 1000;

/** Pure: whether an authority can be asked for a certificate now, by what it has told and published. */

export interface Asking {
  readonly wanted: Wanted;
  readonly state: CertificateState;
  readonly certificate: Certificate | undefined;
  readonly urgent: boolean;
}

/** `alone`: others may be asked for meanwhile. */
export interface Wait {
  readonly untilMs: number;
  readonly alone: boolean;
  /** In words, where the certificate's owner can do something about it. */
  readonly reason?: string;
}

/** How an order with this authority counts, and which certificate it names as replaced (RFC 9773, 5). */
export function termsOf(
  { wanted, state, certificate, urgent }: Asking,
  { name }: PublicAuthority,
  nowMs: number,
): { readonly charge: Charge; readonly replaces: string | null } {
  const same = certificate?.issuer === name && certificate.hosts.join() === wanted.hosts.join();
  const replaces = same ? state.replaces : null;
  // Outside the window it names what it replaces, and counts all the same.
  const exempt = replaces !== null && state.renewal !== null && state.renewal.startMs <= nowMs;
  return { charge: { urgent, exempt, renewal: same }, replaces };
}

/** Why these hosts have to wait, whatever others do. */
export function waitOfHosts(
  { wanted, state }: Asking,
  { name, limits }: PublicAuthority,
  { exempt }: Charge,
  nowMs: number,
): Wait | undefined {
  if (exempt) return undefined;
  const asked = { ca: name, hosts: wanted.hosts };
  const { sameHosts } = limits;
  const untilMs = sameHostsAtMs(state.setBudgets, asked, sameHosts, nowMs);
  if (!sameHosts || untilMs <= nowMs) return undefined;
  const hours = Math.round(sameHosts.refillMs / hourMs);
  const reason = `${name} has made ${sameHosts.size} certificates of these hosts: it makes one each ${hours} hours`;
  return { untilMs, alone: true, reason };
}

/** The standing with one order charged, or how long everybody of its need waits. */
export function admitted(
  standing: Standing,
  { limits }: PublicAuthority,
  what: Charge,
  nowMs: number,
): { readonly standing: Standing; readonly result: Wait | undefined } {
  if (standing.pausedUntilMs > nowMs)
    return { standing, result: { untilMs: standing.pausedUntilMs, alone: false } };
  const charged = charge(standing, limits, what, nowMs);
  if ('waitUntilMs' in charged)
    return { standing, result: { untilMs: charged.waitUntilMs, alone: false } };
  const spent = charged.account === standing ? standing : { ...standing, ...charged.account };
  return { standing: spent, result: undefined };
}
