import { X509Certificate } from 'node:crypto';
import type { Certificate } from '#contracts/certificate.ts';
import type { KnownCertificate } from '../certificates/feed.ts';
import { leafCovers } from '../tls.ts';

/** What of a certificate an operator is shown: never its key. */
interface CertificateView {
  readonly id: string;
  readonly names: readonly string[];
  readonly issuer: string;
  readonly not_before: string;
  readonly not_after: string;
  readonly renew_at: string;
  /** SHA-256 over the leaf, as browsers and `openssl x509 -fingerprint -sha256` show it. */
  readonly fingerprint_sha256: string | null;
}

export interface Shown {
  /** `own`: the host's; `wildcard`: it answers in place of one; `none`: no handshake is possible. */
  readonly which: 'own' | 'wildcard' | 'none';
  /** Why not its own, or why none. */
  readonly why: string | null;
  readonly certificate: CertificateView | null;
}

export interface CertificateLookup {
  known(name: string): KnownCertificate | undefined;
}

/** Which certificate a handshake for `host` is answered with, as the workers choose it. */
export function shownFor(
  host: string,
  { own, wildcardName }: { readonly own: boolean; readonly wildcardName: string },
  certificates: CertificateLookup,
): Shown {
  const known = own ? certificates.known(host) : undefined;
  if (known?.certificate && known.problem === undefined) {
    return { which: 'own', why: null, certificate: viewOf(known.id, known.certificate) };
  }
  const why = known?.problem
    ? `the host's own certificate cannot be used: ${known.problem}`
    : own
      ? 'the host has no certificate of its own yet'
      : 'the host has no route, and so none of its own';
  const wildcard = certificates.known(wildcardName);
  if (!wildcard?.certificate || wildcard.problem !== undefined) {
    return { which: 'none', why: `${why}, and there is no wildcard to use`, certificate: null };
  }
  const leaf = leafOf(wildcard.certificate.chain);
  if (!own && !(leaf && leafCovers(leaf, host))) {
    return { which: 'none', why: `${why}, and the wildcard does not cover it`, certificate: null };
  }
  return { which: 'wildcard', why, certificate: viewOf(wildcard.id, wildcard.certificate) };
}

function viewOf(id: string, certificate: Certificate): CertificateView {
  const leaf = leafOf(certificate.chain);
  return {
    id,
    names: certificate.hosts,
    issuer: leaf?.issuer.replaceAll('\n', ', ') ?? certificate.issuer,
    not_before: isoTime(certificate.notBeforeMs),
    not_after: isoTime(certificate.notAfterMs),
    renew_at: isoTime(certificate.renewAtMs),
    fingerprint_sha256: leaf?.fingerprint256 ?? null,
  };
}

function leafOf(chain: string): X509Certificate | undefined {
  try {
    return new X509Certificate(chain);
  } catch {
    return undefined;
  }
}

export const isoTime = (ms: number): string => new Date(ms).toISOString();
