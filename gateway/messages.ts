import type { CancelOwner } from '#contracts/cancels.ts';
import type { Address, Route } from '#contracts/route.ts';
import type { Answer } from './challenges/table.ts';
import type { Report } from './observe/report.ts';
import type { AccessLogLevel } from './observe/access-log.ts';
import type { Identity } from './tls.ts';

/** Settings of a gateway that its workers go by. */
export interface ServingTerms {
  readonly domain: string;
  readonly publicHttpsPort: number;
  readonly httpPort: number;
  readonly api: Address;
  /** Addresses and CIDR blocks of the balancers in front: what they say of a client is believed. */
  readonly trustedProxies: readonly string[];
  /** Connections from `trustedProxies` begin with a PROXY header, all others must not have one. */
  readonly proxyProtocol: boolean;
  /** Pods are told of the client by `Forwarded` (RFC 7239) as well as by X-Forwarded-*. */
  readonly forwardedHeader: boolean;
  /** Which requests and sessions get a line in the access log. */
  readonly accessLog: AccessLogLevel;
  /** Where to: a path, or nothing for stderr. */
  readonly accessLogFile: string;
  /** `max-age` of Strict-Transport-Security (RFC 6797) on answers over TLS; 0: none is sent. */
  readonly hstsSeconds: number;
  /** Certificates that a worker keeps ready. */
  readonly contextsMax: number;
}

/** What a worker must know before it serves; the parent sends it first. */
export interface WorkerTerms extends ServingTerms {
  readonly number: number;
  /** Session ticket keys are derived from it; the same in all workers of all gateways. */
  readonly ticketMaster: Buffer;
}

/** Who gave out the key that a client at `from` wants to cancel a query with? */
export interface CancelQuestion {
  readonly question: number;
  /** Process id and secret in hex. */
  readonly key: string;
  readonly from: string;
}

export interface CancelAnswer {
  readonly question: number;
  readonly owner: Address | undefined;
}

/** `none`: the host has none of its own until its certificate changes; undefined: none that can be used now. */
export type OwnIdentity = Identity | 'none' | undefined;

interface RouteChanges {
  readonly puts: readonly Route[];
  readonly drops: readonly string[];
  /** The parent's count of changes with this one applied; undefined while more of it follows. */
  readonly step: number | undefined;
}

export type ToWorker =
  | { readonly kind: 'begin'; readonly terms: WorkerTerms }
  | ({ readonly kind: 'routes' } & RouteChanges)
  /** An answer to 'certificate-wanted'. */
  | { readonly kind: 'certificate'; readonly host: string; readonly identity: OwnIdentity }
  /** What was loaded for these hosts is out of date. */
  | { readonly kind: 'certificates-changed'; readonly hosts: readonly string[] }
  /** The domain is served with this wildcard; undefined: no more, unless it is the site's own. */
  | {
      readonly kind: 'wildcard';
      readonly domain: string;
      readonly identity: Identity | undefined;
    }
  /** The API is there from now on. */
  | { readonly kind: 'api'; readonly address: Address }
  /** Sessions are begun and resumed with it from now on. */
  | { readonly kind: 'ticket-master'; readonly master: Buffer }
  /** A challenge that is to be answered; undefined: not there, or not any more. */
  | { readonly kind: 'challenge'; readonly id: string; readonly answer: Answer | undefined }
  /** Everything known was sent: accept connections. Queued ones must not meet an empty table. */
  | { readonly kind: 'serve' }
  | { readonly kind: 'drain' }
  | ({ readonly kind: 'cancel-asked' } & CancelQuestion)
  /** The answer to 'cancel-wanted'. */
  | ({ readonly kind: 'cancel-owner' } & CancelAnswer);

export type FromWorker =
  | { readonly kind: 'ready' }
  /** Something was thrown that nobody caught; it serves on and leaves soon. */
  | { readonly kind: 'fault'; readonly error: string }
  /** It was asked to end, and waits to be replaced and told to drain. */
  | { readonly kind: 'leaving' }
  | { readonly kind: 'applied'; readonly step: number }
  | { readonly kind: 'report'; readonly report: Report }
  | { readonly kind: 'certificate-wanted'; readonly host: string }
  /** Somebody asks for this challenge, of which nothing is known. */
  | { readonly kind: 'challenge-wanted'; readonly id: string }
  /** A client cancels a query of a session that may be at any worker. */
  | ({ readonly kind: 'cancel-wanted' } & CancelQuestion)
  /** The answer to 'cancel-asked'. */
  | {
      readonly kind: 'cancel-owners';
      readonly question: number;
      readonly owners: readonly CancelOwner[];
    }
  | { readonly kind: 'certificate-unusable'; readonly host: string; readonly reason: string };

// About 300 KB: a worker takes it in within milliseconds and serves before the next.
const routesPerMessage = 1_000;

/** A change of the table in messages of bounded size; only the last one carries the step. */
export function* routeMessages(
  puts: readonly Route[],
  drops: readonly string[],
  step: number,
): Generator<ToWorker> {
  const length = Math.max(puts.length, drops.length, 1);
  for (let at = 0; at < length; at += routesPerMessage) {
    const end = at + routesPerMessage;
    yield {
      kind: 'routes',
      puts: puts.slice(at, end),
      drops: drops.slice(at, end),
      step: end < length ? undefined : step,
    };
  }
}
