import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Identity } from '../tls.ts';

const certificatePem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Why clients would not take this in place of one that works, in words; undefined: they would. The chain
 * is judged link by link and not up to a root, which may be anybody's.
 */
export function problemOf({ chain, key }: Identity, nowMs: number): string | undefined {
  try {
    const links = [...chain.matchAll(certificatePem)].map(([pem]) => new X509Certificate(pem));
    const [leaf] = links;
    if (!leaf) return 'its chain holds no certificate';
    if (!leaf.checkPrivateKey(createPrivateKey(key))) return 'its key is of another certificate';
    if (Date.parse(leaf.validFrom) > nowMs) return `it is not valid before ${leaf.validFrom}`;
    const broken = links.findIndex((link, at) => {
      const issuer = links[at + 1];
      return issuer !== undefined && !(link.checkIssued(issuer) && link.verify(issuer.publicKey));
    });
    return broken === -1 ? undefined : `its chain is broken behind certificate ${broken + 1}`;
  } catch (error) {
    return `it cannot be read: ${String(error)}`;
  }
}
