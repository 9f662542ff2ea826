/**
 * Where the operator's DNS can be changed: TXT records that prove to a certificate authority that a
 * domain is ours (RFC 8555, 8.4).
 */
export interface DnsProvider {
  /**
   * Adds the TXT record `value` at `name` (`_acme-challenge.pods.example.org`, without a trailing
   * dot) and resolves when every authoritative server answers with it. Other values of that name stay;
   * one that is there already is fine. Throws `DnsRefused` or `DnsUnavailable`; gives up within
   * `signal`.
   */
  present(name: string, value: string, signal: AbortSignal): Promise<void>;
  /** Takes that very value away again; fine when it is not there. Throws like `present`. */
  cleanup(name: string, value: string, signal: AbortSignal): Promise<void>;
}

/** It will not do this, now or later: a wrong key, a zone that is not its own. */
export class DnsRefused extends Error {
  override readonly name = 'DnsRefused';
}

/** It cannot be reached, or did not do it in time: another try may help. */
export class DnsUnavailable extends Error {
  override readonly name = 'DnsUnavailable';
}
