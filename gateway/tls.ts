import { hkdfSync } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import tls from 'node:tls';
import type { Route } from '#contracts/route.ts';

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

/**
 * The ALPN protocols (RFC 7301) to choose from, best first, or undefined to leave the extension
 * unanswered: a list without the client's would end the handshake, and plain TCP has no name to offer.
 */
export function alpnFor(
  protocol: Route['protocol'],
  offered: readonly string[],
): string[] | undefined {
  const ours = { http: ['h2', 'http/1.1'], postgres: ['postgresql'], tcp: [] }[protocol];
  return protocol === 'http' || ours.some((name) => offered.includes(name)) ? ours : undefined;
}

/** A fatal alert `unrecognized_name` (RFC 6066, 3) in a record of its own: nobody has that name here. */
export const unrecognizedName = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70]);
