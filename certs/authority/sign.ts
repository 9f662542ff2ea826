import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import type { webcrypto as WebCrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { tlv } from '#contracts/der.ts';
import type { Random } from '#contracts/random.ts';

/** X.509 by RFC 5280 with P-256 keys: what our own authority signs. Times are wall-clock ms. */

export const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 24 * 60 * 60 * 1000;

// Clients whose clock is behind must not refuse a certificate made a moment ago.
const backdateMs = 60 * 60 * 1000;

const rootLifeMs = 3650 * dayMs; // never replaced: people imported it into their browsers
export const intermediateLifeMs = 1095 * dayMs;
const leafLifeMs = 30 * dayMs;

/** A certificate that can sign, as PEM, with its private key as PKCS#8 PEM. */
export interface Signer {
  readonly certificate: string;
  readonly key: string;
}

export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

function validity(nowMs: number, lifeMs: number): Validity {
  // X.509 times have whole seconds.
  const notBeforeMs = Math.floor((nowMs - backdateMs) / 1000) * 1000;
  return { notBeforeMs, notAfterMs: notBeforeMs + lifeMs };
}

const caUsage = (): x509.KeyUsagesExtension =>
  new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true);

/** A root that vouches for `domain` and the names below it only (RFC 5280, 4.2.1.10). */
export async function makeRoot(domain: string, nowMs: number, random: Random): Promise<Signer> {
  const keys = await makeKeys();
  const { notBeforeMs, notAfterMs } = validity(nowMs, rootLifeMs);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(random),
    name: `CN=Podgate root for ${domain} ${serial(random).slice(0, 8)}`,
    notBefore: new Date(notBeforeMs),
    notAfter: new Date(notAfterMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 1, true),
      caUsage(),
      nameConstraints(domain),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await exportKey(keys.privateKey) };
}

export async function makeIntermediate(
  root: Signer,
  domain: string,
  nowMs: number,
  random: Random,
): Promise<Signer> {
  const keys = await makeKeys();
  const issuer = new x509.X509Certificate(root.certificate);
  const { notBeforeMs, notAfterMs } = validity(nowMs, intermediateLifeMs);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(random),
    subject: `CN=Podgate intermediate ${serial(random).slice(0, 8)}`,
    issuer: issuer.subject,
    notBefore: new Date(notBeforeMs),
    notAfter: new Date(Math.min(notAfterMs, issuer.notAfter.getTime())),
    publicKey: keys.publicKey,
    signingKey: await importKey(root.key),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      caUsage(),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      nameConstraints(domain),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await exportKey(keys.privateKey) };
}

/** A server certificate for `hosts`; the key is made for it and used once. */
export async function makeLeaf(
  issuer: Signer,
  hosts: readonly string[],
  nowMs: number,
  random: Random,
): Promise<Signer & Validity> {
  const keys = await makeKeys();
  const parent = new x509.X509Certificate(issuer.certificate);
  const { notBeforeMs, notAfterMs: wantedMs } = validity(nowMs, leafLifeMs);
  // Clients refuse what outlives its issuer.
  const times = { notBeforeMs, notAfterMs: Math.min(wantedMs, parent.notAfter.getTime()) };
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(random),
    // Names live in the SAN (RFC 6125); an empty subject makes that extension critical.
    issuer: parent.subject,
    notBefore: new Date(times.notBeforeMs),
    notAfter: new Date(times.notAfterMs),
    publicKey: keys.publicKey,
    signingKey: await importKey(issuer.key),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        hosts.map((value) => ({ type: 'dns' as const, value })),
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(parent.publicKey),
    ],
  });
  return {
    certificate: certificate.toString('pem'),
    key: await exportKey(keys.privateKey),
    ...times,
  };
}

/** When a certificate of ours ends, in wall-clock ms. */
export const notAfterMs = (pem: string): number => new x509.X509Certificate(pem).notAfter.getTime();

/** A new P-256 key pair. */
export const makeKeys = (): Promise<WebCrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);

/** As PKCS#8 PEM. */
export const exportKey = async (key: CryptoKey): Promise<string> =>
  x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');

const importKey = (pem: string): Promise<CryptoKey> =>
  webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), algorithm, false, [
    'sign',
  ]);

/** 16 random bytes, positive and without a leading zero (RFC 5280, 4.1.2.2). */
function serial(random: Random): string {
  const bytes = random.bytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

/**
 * permittedSubtrees with one dNSName, as DER: the library has no type for this extension. A kind of
 * name that no subtree mentions is not constrained at all, so all IP addresses are excluded, as
 * address and mask of zeros (CA/Browser Forum Baseline Requirements, 7.1.2.5.2).
 */
function nameConstraints(domain: string): x509.Extension {
  const permitted = tlv(0xa0, tlv(0x30, tlv(0x82, Buffer.from(domain, 'latin1'))));
  const addresses = [8, 32].map((length) => tlv(0x30, tlv(0x87, Buffer.alloc(length))));
  const excluded = tlv(0xa1, Buffer.concat(addresses));
  const constraints = tlv(0x30, Buffer.concat([permitted, excluded]));
  return new x509.Extension('2.5.29.30', true, new Uint8Array(constraints));
}
