import { hkdfSync } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import tls from 'node:tls';

/** A certificate as a worker uses it: PEM chain and PEM private key, in memory only. */
export interface Identity {
  readonly chain: string;
  readonly key: string;
}

const ticketKeyBytes = 48; // name, HMAC and AES key, as OpenSSL wants them

/**
 * The TLS terms of one host. Ticket keys are derived per host: every worker can resume a session
 * of the host, and no host one of another.
 */
export function secureContext(
  { chain, key }: Identity,
  host: string,
  master: Buffer,
): SecureContext {
  const ticketKeys = Buffer.from(hkdfSync('sha256', master, '', host, ticketKeyBytes));
  return tls.createSecureContext({ cert: chain, key, minVersion: 'TLSv1.2', ticketKeys });
}
