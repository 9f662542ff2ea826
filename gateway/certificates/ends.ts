import { parentOf } from '#contracts/hosts.ts';
import type { HostIndex } from './host-index.ts';

/** When certificates end that clients are shown. */
export interface CertificateEnds {
  /** Of the first; undefined: there is none. */
  readonly firstMs: number | undefined;
  readonly ended: number;
  /** Those and what ends within seven days. */
  readonly within7Days: number;
}

const sevenDaysMs = 7 * 24 * 60 * 60 * 1000;

/** Pure. A pod's certificate may be kept for its return: where none of its hosts has a route it counts for nothing. */
export function endsOf(
  index: Pick<HostIndex, 'all' | 'wildcards'>,
  isRouted: (host: string) => boolean,
  nowMs: number,
): CertificateEnds {
  const isPods = (host: string): boolean =>
    !host.startsWith('*.') && index.wildcards.has(`*.${parentOf(host)}`);
  let firstMs: number | undefined;
  let ended = 0;
  let within7Days = 0;
  for (const { hosts, notAfterMs } of index.all()) {
    if (!hosts.some((host) => isRouted(host) || !isPods(host))) continue;
    if (firstMs === undefined || notAfterMs < firstMs) firstMs = notAfterMs;
    if (notAfterMs <= nowMs) ended += 1;
    if (notAfterMs <= nowMs + sevenDaysMs) within7Days += 1;
  }
  return { firstMs, ended, within7Days };
}
