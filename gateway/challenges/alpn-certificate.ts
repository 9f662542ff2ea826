import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import tls from 'node:tls';
import { tlv } from '#contracts/der.ts';
import type { Random } from '#contracts/random.ts';

/** What a client offers that validates a challenge, and nobody else (RFC 8737, 4). */
export const challengeProtocol = 'acme-tls/1';

const dayMs = 24 * 60 * 60 * 1000;
const oid = {
  ecdsaWithSha256: '2a8648ce3d040302', // 1.2.840.10045.4.3.2
  commonName: '550403', // 2.5.4.3
  subjectAltName: '551d11', // 2.5.29.17
  acmeIdentifier: '2b0601050507011f', // 1.3.6.1.5.5.7.1.31
} as const;

const identifier = (hex: string): Buffer => tlv(0x06, Buffer.from(hex, 'hex'));
const sequence = (...parts: readonly Uint8Array[]): Buffer => tlv(0x30, ...parts);
const octets = (bytes: Uint8Array): Buffer => tlv(0x04, bytes);
const algorithm = sequence(identifier(oid.ecdsaWithSha256));
const critical = tlv(0x01, Buffer.from([0xff]));
const name = sequence(
  tlv(0x31, sequence(identifier(oid.commonName), tlv(0x0c, Buffer.from('ACME challenge')))),
);

/**
 * The certificate that answers a tls-alpn-01 challenge (RFC 8737, 3): self-signed, for this host
 * alone, with the digest of the key authorization in the critical extension acmeIdentifier.
 */
export function challengeContext(
  host: string,
  keyAuthorization: string,
  { nowMs, random }: { readonly nowMs: number; readonly random: Random },
): SecureContext {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const digest = createHash('sha256').update(keyAuthorization).digest();
  const extensions = sequence(
    sequence(
      identifier(oid.subjectAltName),
      octets(sequence(tlv(0x82, Buffer.from(host, 'latin1')))),
    ),
    sequence(identifier(oid.acmeIdentifier), critical, octets(octets(digest))),
  );
  const signed = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))), // version 3
    tlv(0x02, Buffer.concat([Buffer.from([1]), random.bytes(15)])),
    algorithm,
    name,
    sequence(time(nowMs - dayMs), time(nowMs + dayMs)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, extensions),
  );
  const signature = sign('sha256', signed, privateKey);
  const der = sequence(signed, algorithm, tlv(0x03, Buffer.from([0]), signature));
  const base64 = der.toString('base64').replaceAll(/.{64}/g, '$&\n');
  return tls.createSecureContext({
    cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    minVersion: 'TLSv1.2',
  });
}

/** UTCTime (RFC 5280, 4.1.2.5.1), good until 2049. */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14);
  return tlv(0x17, Buffer.from(`${digits}Z`));
}
