import type { Limits } from '../limits/budget.ts';

/** A certificate authority that speaks ACME, as the operator names it. */
export interface PublicAuthority {
  /** For people: the host of its directory. */
  readonly name: string;
  readonly directoryUrl: string;
  /** PEM; undefined: the machine's authorities. */
  readonly roots: string | undefined;
  readonly contact: readonly string[];
  /** External Account Binding (RFC 8555, 7.3.4); the key in base64url. */
  readonly binding: { readonly kid: string; readonly hmacKey: string } | undefined;
  /** Asked for where the directory offers it. */
  readonly profile: string | undefined;
  readonly limits: Limits;
}

export interface PublicAuthorities {
  /** In order of preference. */
  readonly real: readonly PublicAuthority[];
  /** Where a host that failed shows that it would not fail again, before it costs anything. */
  readonly staging: PublicAuthority | undefined;
}
