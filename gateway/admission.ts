import type { Address, Route } from '#contracts/route.ts';
import { alerts } from './alerts.ts';
import { alpnChallengeId } from '#contracts/challenge.ts';
import { allowed } from './allowed.ts';
import { challengeProtocol } from './challenges/alpn-certificate.ts';
import type { ClientHello } from './client-hello.ts';
import type { Routing } from './routing.ts';
import type { PostgresRefusal } from './tcp/postgres.ts';
import { sqlStates } from './tcp/postgres.ts';

/** What is known of a client when its ClientHello is there. */
export interface Arrival {
  readonly hello: ClientHello;
  readonly address: string;
  /** It asked for TLS in the way of Postgres. */
  readonly sslRequest: boolean;
}

/** Who serves a connection whose TLS we end. */
export type Service =
  | { readonly kind: 'http' }
  | { readonly kind: 'tcp'; readonly route: Route }
  | { readonly kind: 'no-database'; readonly refusal: PostgresRefusal };

export type Admission =
  | { readonly kind: 'alert'; readonly alert: Buffer }
  /** A certificate authority validates; `otherwise` when no challenge of this id is pending. */
  | {
      readonly kind: 'challenge';
      readonly host: string;
      readonly id: string;
      readonly otherwise: Extract<Admission, { kind: 'alert' | 'pass' }>;
    }
  | { readonly kind: 'pass'; readonly route: Route; readonly upstream: Address }
  | {
      readonly kind: 'terminate';
      /** Undefined: the client named none. */
      readonly host: string | undefined;
      /** The host has a route, and so may have a certificate of its own. */
      readonly own: boolean;
      /** To choose from, best first; undefined leaves the extension unanswered. */
      readonly alpn: readonly string[] | undefined;
      readonly service: Service;
    };

const postgresql = 'postgresql';
const httpNames = ['h2', 'http/1.1'];

/** Decides from memory alone, before TLS costs anything. */
export function admit(arrival: Arrival, { table }: Routing): Admission {
  const { serverName, alpn } = arrival.hello;
  const postgres = arrival.sslRequest || alpn.includes(postgresql);
  if (serverName === undefined) {
    return postgres
      ? noDatabase(noServerName, alpn)
      : { kind: 'alert', alert: alerts.missingExtension };
  }
  const route = table.find(serverName);
  if (alpn.length === 1 && alpn[0] === challengeProtocol && !arrival.sslRequest) {
    return challenge(serverName, route, arrival.address);
  }
  if (!route) {
    if (!table.isForPods(serverName)) {
      return { kind: 'alert', alert: alerts.unrecognizedName };
    }
    const message = `there is no pod at ${serverName}`;
    const refusal = { sqlState: sqlStates.rejected, message };
    return postgres ? noDatabase(refusal, alpn, serverName) : http(serverName, false);
  }
  if (route.policy?.passthrough) return pass(route, arrival.address);
  return postgres || (route.protocol !== 'http' && !isBrowserAtDatabase(route, alpn))
    ? terminate(route, arrival, postgres)
    : http(serverName, true);
}

/** Who offers HTTP to a database, and not its own protocol, gets the page that says what it is. */
const isBrowserAtDatabase = ({ protocol }: Route, offered: readonly string[]): boolean =>
  protocol === 'postgres' && httpNames.some((name) => offered.includes(name));

/** A pod that ends TLS itself may prove its host by itself. */
function challenge(host: string, route: Route | undefined, address: string): Admission {
  const otherwise = route?.policy?.passthrough
    ? pass(route, address)
    : ({ kind: 'alert', alert: alerts.noApplicationProtocol } as const);
  return { kind: 'challenge', host, id: alpnChallengeId(host), otherwise };
}

function pass(route: Route, address: string): Extract<Admission, { kind: 'alert' | 'pass' }> {
  if (!allowed(route.policy, address)) return { kind: 'alert', alert: alerts.accessDenied };
  if (!route.upstream) return { kind: 'alert', alert: alerts.internalError };
  return { kind: 'pass', route, upstream: route.upstream };
}

/** Everything but HTTP, whose requests are judged one by one. */
function terminate(route: Route, { hello, address }: Arrival, postgres: boolean): Admission {
  const { protocol, host, policy } = route;
  if (!allowed(policy, address)) {
    if (!postgres && protocol !== 'postgres') return { kind: 'alert', alert: alerts.accessDenied };
    const message = `not allowed: ${address} is not on the allow list of ${host}`;
    const refusal = { sqlState: sqlStates.notAuthorized, message };
    return noDatabase(refusal, hello.alpn, host, true);
  }
  if (protocol === 'http') return noDatabase(whyNoDatabase(route), hello.alpn, host, true);
  const names = protocol === 'postgres' ? [postgresql] : (policy?.alpn ?? []);
  const service = { kind: 'tcp', route } as const;
  return { kind: 'terminate', host, own: true, alpn: shared(names, hello.alpn), service };
}

/** `h2` first; a client that knows neither is told so (RFC 7301, 3.2). */
const http = (host: string, own: boolean): Admission => ({
  kind: 'terminate',
  host,
  own,
  alpn: httpNames,
  service: { kind: 'http' },
});

/** A Postgres client is told in its own protocol, which takes a handshake first. */
function noDatabase(
  refusal: PostgresRefusal,
  offered: readonly string[],
  host?: string,
  own = false,
): Admission {
  const service = { kind: 'no-database', refusal } as const;
  const alpn = shared([postgresql], offered);
  return { kind: 'terminate', host, own, alpn, service };
}

/**
 * A list without the client's would end the handshake: clients of databases and brokers offer names
 * that nobody needs answered.
 */
const shared = (
  ours: readonly string[],
  offered: readonly string[],
): readonly string[] | undefined =>
  ours.some((name) => offered.includes(name)) ? ours : undefined;

const noServerName: PostgresRefusal = {
  sqlState: sqlStates.rejected,
  message:
    'no SNI: use sslmode=require with libpq 14 or newer, and the name of the host, not its address',
};

function whyNoDatabase({ host, upstream, message }: Route): PostgresRefusal {
  const { cannotConnectNow, rejected } = sqlStates;
  return upstream
    ? { sqlState: rejected, message: `${host} is no database, it speaks http` }
    : { sqlState: cannotConnectNow, message };
}
