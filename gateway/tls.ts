import { constants, hkdfSync, X509Certificate } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import tls from 'node:tls';

/** A certificate as a worker uses it: PEM chain and PEM private key, in memory only. */
export interface Identity {
  readonly chain: string;
  readonly key: string;
}

const ticketKeyBytes = 48; // name, HMAC and AES key, as OpenSSL wants them

/**
 * Forward secrecy and authenticated encryption only: HTTP/2 forbids the others (RFC 9113, 9.2.2).
 * Our order decides, but a client that prefers ChaCha20 has no AES in hardware and gets its way.
 */
const terms = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  honorCipherOrder: true,
  secureOptions: constants.SSL_OP_PRIORITIZE_CHACHA,
} as const;

/**
 * The TLS terms of one host. Ticket keys are derived per host: every worker can resume a session
 * of the host, and no host one of another.
 */
function secureContext({ chain, key }: Identity, ticketKeys: Buffer): SecureContext {
  return tls.createSecureContext({ ...terms, cert: chain, key, ticketKeys });
}

const ticketKeysOf = (host: string, master: Buffer): Buffer =>
  Buffer.from(hkdfSync('sha256', master, '', host, ticketKeyBytes));

/** A certificate ready to be shown, and the names it is good for. */
export class Presented {
  readonly context: SecureContext;
  readonly #chain: string;
  readonly #host: string;
  #master: Buffer;
  #leaf: X509Certificate | undefined;

  /** Throws what OpenSSL has against it. */
  constructor(identity: Identity, host: string, master: Buffer) {
    this.context = secureContext(identity, ticketKeysOf(host, master));
    this.#host = host;
    this.#master = master;
    this.#chain = identity.chain;
  }

  /**
   * From the next handshake on sessions are those of this master. Node has one key in a context: what
   * was begun under the master before is not resumed, and costs its client one full handshake.
   */
  keepTickets(master: Buffer): void {
    if (this.#master === master) return;
    this.#master = master;
    this.context.context.setTicketKeys(ticketKeysOf(this.#host, master));
  }

  covers(host: string): boolean {
    this.#leaf ??= new X509Certificate(this.#chain);
    return leafCovers(this.#leaf, host);
  }
}

/** As clients judge it (RFC 9525, 6.3): a wildcard is one label, the subject counts for nothing. */
export const leafCovers = (leaf: X509Certificate, host: string): boolean =>
  leaf.checkHost(host, { subject: 'never', partialWildcards: false }) !== undefined;
