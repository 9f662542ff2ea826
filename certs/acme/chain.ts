import { createPrivateKey, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { Validity } from '../authority/sign.ts';
import { CaProblem } from './problem.ts';

const pemBlock = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** The chain in a tidy form and its times. Throws `CaProblem` when it is not what was ordered. */
export function checkedChain(
  pem: string,
  { key, hosts }: { readonly key: string; readonly hosts: readonly string[] },
): Validity & { readonly chain: string } {
  const blocks = pem.match(pemBlock) ?? [];
  const leaf = blocks[0] === undefined ? undefined : new X509Certificate(blocks[0]);
  if (!leaf) throw new CaProblem('it answered no certificate', { status: 502 });
  if (!leaf.checkPrivateKey(createPrivateKey(key))) {
    throw new CaProblem('its certificate is of another key than ours', { status: 400 });
  }
  const names = new Set((leaf.subjectAltName ?? '').split(', ').map((name) => name.slice(4)));
  const lacking = hosts.filter((host) => !names.has(host));
  if (lacking.length > 0) {
    throw new CaProblem(`its certificate lacks ${lacking.join(', ')}`, { status: 400 });
  }
  return {
    chain: blocks.map((block) => block.trim() + '\n').join(''),
    notBeforeMs: leaf.validFromDate.getTime(),
    notAfterMs: leaf.validToDate.getTime(),
  };
}

/**
 * How a certificate is named when its renewal is asked about (RFC 9773, 4.1): the key identifier of
 * its issuer and its serial number, each in base64url. Undefined: it names no issuer's key.
 */
export function renewalId(chain: string): string | undefined {
  const leaf = new x509.X509Certificate(chain.match(pemBlock)?.[0] ?? chain);
  const keyId = leaf.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId;
  if (keyId === undefined) return undefined;
  // DER shows a positive number: a leading zero where the first bit is set.
  const digits = leaf.serialNumber.length % 2 === 0 ? leaf.serialNumber : `0${leaf.serialNumber}`;
  const serial = Buffer.from(digits, 'hex');
  const signed = (serial[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), serial]) : serial;
  return `${Buffer.from(keyId, 'hex').toString('base64url')}.${signed.toString('base64url')}`;
}
