import type { Address, Route } from '#contracts/route.ts';
import type { Admission } from '../admission.ts';
import { admit } from '../admission.ts';
import { alerts } from '../alerts.ts';
import type { Page } from '../pages/pages.ts';
import { podPage } from '../pages/pages.ts';
import type { Routing } from '../routing.ts';
import { decide } from '../routing.ts';
import { sqlStates } from '../tcp/postgres.ts';

/** What one kind of client gets from the gateway. */
export type Outcome =
  | { readonly kind: 'forward' | 'splice' | 'pass'; readonly upstream: Address }
  | {
      readonly kind: 'page';
      readonly status: number;
      readonly code: string;
      readonly message: string;
    }
  /** A TLS alert by its name in RFC 8446, section 6. */
  | { readonly kind: 'alert'; readonly alert: string }
  | {
      readonly kind: 'postgres-error';
      readonly sql_state: string;
      readonly message: string;
    };

export interface Replayed {
  readonly client: string;
  /** What the gateway offers in ALPN, best first; null: it leaves the extension unanswered. */
  readonly alpn: readonly string[] | null;
  /** The host may be shown a certificate of its own; others get the wildcard, or no handshake. */
  readonly own_certificate: boolean;
  readonly outcome: Outcome;
}

interface Client {
  readonly client: string;
  readonly alpn: readonly string[];
  readonly sslRequest: boolean;
}

const httpClient: Client = {
  client: 'browser or HTTP client',
  alpn: ['h2', 'http/1.1'],
  sslRequest: false,
};
const tlsClient: Client = { client: 'TLS client', alpn: [], sslRequest: false };
const postgresClient: Client = { client: 'Postgres client', alpn: [], sslRequest: true };

/**
 * Decides anew for `host`, with the functions that the workers decide with, what each kind of client
 * that the host is for would get. Undefined `address`: a client that the allow list lets in.
 */
export function replay(
  host: string,
  address: string | undefined,
  routing: Routing,
): readonly Replayed[] {
  const judged = address === undefined ? withoutAllowList(routing) : routing;
  return clientsOf(routing.table.find(host)?.protocol).map((client) =>
    replayClient(host, client, { address: address ?? '', routing: judged }),
  );
}

function clientsOf(protocol: 'http' | 'tcp' | 'postgres' | undefined): readonly Client[] {
  if (protocol === 'tcp') return [tlsClient];
  return protocol === 'postgres' ? [postgresClient, httpClient] : [httpClient];
}

/** An allow list says no to an address that nobody named. */
function withoutAllowList(routing: Routing): Routing {
  const find = (host: string): ReturnType<Routing['table']['find']> => {
    const route = routing.table.find(host);
    if (!route?.policy?.allow) return route;
    const { allow: _allow, ...policy } = route.policy;
    return { ...route, policy };
  };
  const { table } = routing;
  return {
    ...routing,
    table: {
      find,
      isApi: (host) => table.isApi(host),
      isForPods: (host) => table.isForPods(host),
    },
  };
}

interface Asking {
  readonly address: string;
  readonly routing: Routing;
}

function replayClient(host: string, client: Client, { address, routing }: Asking): Replayed {
  const { alpn, sslRequest } = client;
  const admission = admit({ hello: { serverName: host, alpn }, address, sslRequest }, routing);
  const terminated = admission.kind === 'terminate' ? admission : undefined;
  return {
    client: client.client,
    alpn: terminated?.alpn ?? null,
    own_certificate: terminated?.own ?? false,
    outcome: outcomeOf(host, admission, { address, routing }),
  };
}

function outcomeOf(host: string, admission: Admission, asking: Asking): Outcome {
  if (admission.kind === 'alert') return { kind: 'alert', alert: nameOf(admission.alert) };
  if (admission.kind === 'challenge') return outcomeOf(host, admission.otherwise, asking);
  if (admission.kind === 'pass') return { kind: 'pass', upstream: admission.upstream };
  const { service } = admission;
  switch (service.kind) {
    case 'no-database': {
      const { sqlState, message } = service.refusal;
      return { kind: 'postgres-error', sql_state: sqlState, message };
    }
    case 'tcp': {
      const { upstream } = service.route;
      return upstream ? { kind: 'splice', upstream } : awayOutcome(service.route);
    }
    case 'http':
      return httpOutcome(host, asking);
  }
}

function httpOutcome(host: string, { address, routing }: Asking): Outcome {
  const decision = decide(
    { host, target: '/', forwarded: undefined, origin: '', preflight: undefined },
    { sni: host, address, trustedProxies: [], shown: undefined, port: routing.publicHttpsPort },
    routing,
  );
  if (decision.kind === 'forward') return { kind: 'forward', upstream: decision.upstream };
  return pageOutcome(decision.page);
}

/** The pod has no address now: Postgres clients are told so, of the others only those of HTTP. */
function awayOutcome(route: Route): Outcome {
  if (route.protocol !== 'postgres') return pageOutcome(podPage(route));
  return {
    kind: 'postgres-error',
    sql_state: sqlStates.cannotConnectNow,
    message: route.message,
  };
}

const pageOutcome = ({ status, code, message }: Page): Outcome => ({
  kind: 'page',
  status,
  code,
  message,
});

function nameOf(alert: Buffer): string {
  const name = Object.entries(alerts).find(([, bytes]) => bytes === alert)?.[0] ?? 'unknown';
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
