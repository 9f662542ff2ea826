import type { Certificate } from '#contracts/certificate.ts';

export interface Facts {
  /** What is stored, if anything. */
  readonly certificate: Certificate | undefined;
  /** Its private key can be unsealed. */
  readonly keyOpens: boolean;
  /** The hosts it must cover, sorted. */
  readonly hosts: readonly string[];
  readonly issuer: string;
  /** A new key was asked for. */
  readonly rotate: boolean;
  readonly nowMs: number;
}

type Check = (facts: Facts) => string | undefined;

const missing: Check = ({ certificate }) => (certificate ? undefined : 'no certificate yet');

const otherHosts: Check = ({ certificate, hosts }) =>
  certificate?.hosts.join() === hosts.join() ? undefined : 'its hosts are others now';

const otherIssuer: Check = ({ certificate, issuer }) =>
  certificate?.issuer === issuer ? undefined : `it is not from ${issuer}`;

// After the secret key file was replaced no gateway can use it.
const lostKey: Check = ({ keyOpens }) => (keyOpens ? undefined : 'its key does not open');

const due: Check = ({ certificate, nowMs }) =>
  certificate && certificate.renewAtMs <= nowMs ? 'its renewal is due' : undefined;

const rotation: Check = ({ rotate }) => (rotate ? 'a new key was asked for' : undefined);

/** Why `facts` call for a new certificate, or undefined when they do not. First reason wins. */
export function reasonToIssue(facts: Facts): string | undefined {
  for (const check of [missing, otherHosts, otherIssuer, lostKey, rotation, due]) {
    const reason = check(facts);
    if (reason) return reason;
  }
  return undefined;
}
