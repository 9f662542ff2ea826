import * as x509 from '@peculiar/x509';
import { algorithm, exportKey, makeKeys } from '../authority/sign.ts';

/** A new P-256 key as PKCS#8 PEM, and the request for a certificate of it (RFC 2986), DER in base64url. */
export async function requestFor(
  hosts: readonly string[],
): Promise<{ readonly key: string; readonly csr: string }> {
  const keys = await makeKeys();
  const names = hosts.map((value) => ({ type: 'dns' as const, value }));
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: algorithm,
    extensions: [new x509.SubjectAlternativeNameExtension(names)],
  });
  return {
    key: await exportKey(keys.privateKey),
    csr: Buffer.from(request.rawData).toString('base64url'),
  };
}
