import type { Challenges } from '../challenges/challenges.ts';
import type { Coders } from '../compression/coder.ts';
import type { Meters } from '../observe/meters.ts';
import type { Routing } from '../routing.ts';
import type { Random } from '#contracts/random.ts';
import type { H2cSessions } from '../upstream/h2c-sessions.ts';
import type { UpstreamPool } from '../upstream/pool.ts';
import type { TunnelContext } from '../websocket-tunnel.ts';

/** What all connections of a worker share. */
export interface Http1Context extends TunnelContext {
  readonly routing: Routing;
  /** Asked for the challenges that routing does not know. */
  readonly challenges: Pick<Challenges, 'get'>;
  readonly upstreams: UpstreamPool;
  readonly h2cSessions: H2cSessions;
  readonly coders: Coders;
  readonly random: Random;
  readonly meters: Meters;
  /** A request id that no other worker gives out. */
  nextRequestId(): string;
  /** Pods are told of the client by `Forwarded` (RFC 7239) as well. */
  readonly forwardedHeader: boolean;
  /** The field line that answers over TLS get (RFC 6797), or nothing. */
  readonly hsts: string;
  draining(): boolean;
  /** All that are open, for the day the worker drains. */
  readonly connections: Set<{ drain(): void }>;
}

/** What is known of one connection before its first request. */
export interface Peer {
  /** The name of the TLS handshake; undefined on the plain port. */
  readonly sni: string | undefined;
  readonly address: string;
  /** The addresses whose word on forwarding is believed. */
  readonly trustedProxies: readonly string[];
  /** The certificate that the handshake showed; undefined on the plain port. */
  readonly shown: { covers(host: string): boolean } | undefined;
  /** The port as clients see it, for X-Forwarded-Port. */
  readonly port: number;
}
