import { isDeepStrictEqual } from 'node:util';
import type { Address, Route } from '#contracts/route.ts';
import { httpChallengeId } from '#contracts/challenge.ts';
import { allowed } from './allowed.ts';
import type { ChallengeLookup } from './challenges/table.ts';
import { preflightFields } from './cors.ts';
import type { Peer } from './http1/context.ts';
import { clientOf } from './http1/forwarding.ts';
import type { RequestHead } from './http1/request-head.ts';
import type { Page } from './pages/pages.ts';
import { pages, podPage } from './pages/pages.ts';
import type { RouteTable } from './route-table.ts';

/** What happens to one HTTP request, decided from memory alone. */
export type Decision =
  | { readonly kind: 'forward'; readonly route: Route; readonly upstream: Address }
  /** `route`: whose policy the page is dressed by; undefined where there is none. */
  | { readonly kind: 'page'; readonly page: Page; readonly route: Route | undefined };

export interface Routing {
  readonly challenges: ChallengeLookup;
  readonly table: Pick<RouteTable, 'find' | 'isApi' | 'isForPods'>;
  readonly domain: string;
  readonly publicHttpsPort: number;
}

/** Of a request, what its decision depends on. */
export type Asked = Pick<RequestHead, 'host' | 'target' | 'forwarded' | 'origin' | 'preflight'>;

/** Certificate authorities ask below it, on either port (RFC 8555, 8.3). */
const challengePath = '/.well-known/acme-challenge/';
const challengeToken = /^[\w-]{1,256}$/;

/** What is done with a request. */
export function decide(asked: Asked, peer: Peer, routing: Routing): Decision {
  return asked.target.startsWith(challengePath)
    ? decideChallenge(asked, peer, routing)
    : decideRequest(asked, peer, routing);
}

/** The challenge to ask for before deciding, as it is not known here yet; for most undefined. */
export function challengeToAsk({ host, target }: Asked, routing: Routing): string | undefined {
  if (!target.startsWith(challengePath)) return undefined;
  const { table, challenges } = routing;
  const id = challengeOf(host, target);
  const ours = table.isForPods(host) || table.find(host) !== undefined;
  return id !== undefined && ours && challenges.find(id) === undefined ? id : undefined;
}

function challengeOf(host: string, target: string): string | undefined {
  const token = target.slice(challengePath.length);
  return challengeToken.test(token) ? httpChallengeId(host, token) : undefined;
}

/** Ours are answered to everybody and never sent elsewhere; a pod may have an ACME client of its own. */
function decideChallenge(asked: Asked, peer: Peer, routing: Routing): Decision {
  const id = challengeOf(asked.host, asked.target);
  const text = id === undefined ? undefined : routing.challenges.find(id);
  if (text !== undefined) return { kind: 'page', page: pages.challenge(text), route: undefined };
  return peer.sni === undefined
    ? decidePlainChallenge(asked, peer, routing.table)
    : decideRequest(asked, peer, routing);
}

function decidePlainChallenge(asked: Asked, peer: Peer, table: Routing['table']): Decision {
  const route = table.isApi(asked.host) ? undefined : table.find(asked.host);
  const decision = route && decideFor(route, asked, peer);
  if (decision?.kind === 'forward') return decision;
  return { kind: 'page', page: pages.unknownChallenge, route: undefined };
}

/** Decides by host, with the SNI as a witness (RFC 9110, 15.5.20 and RFC 6066, 11). */
function decideRequest(asked: Asked, peer: Peer, routing: Routing): Decision {
  const { sni } = peer;
  if (sni === undefined) return decidePlain(asked, routing);
  const own = sni === asked.host;
  // The same name; of this one the hash is known already.
  const route = routing.table.find(own ? sni : asked.host);
  if (!own && !coalesces(asked.host, peer, routing)) {
    return { kind: 'page', page: pages.misdirected, route: undefined };
  }
  if (!route) return { kind: 'page', page: pages.unknownHost(asked.host), route };
  return decideFor(route, asked, peer);
}

/** On the plain port only the CA to trust is served; all else moves to https. */
function decidePlain({ host, target }: Asked, routing: Routing): Decision {
  const { table, domain, publicHttpsPort } = routing;
  const route = table.find(host);
  if (route?.upstream && table.isApi(host) && target === '/ca.pem') {
    return { kind: 'forward', route, upstream: route.upstream };
  }
  if (!route && !host.endsWith(`.${domain}`)) {
    return { kind: 'page', page: pages.unknownHost(host), route };
  }
  const port = publicHttpsPort === 443 ? '' : `:${publicHttpsPort}`;
  const path = target === '*' ? '/' : target;
  const page = pages.moved(`https://${host}${port}${path}`);
  return { kind: 'page', page, route: undefined };
}

function decideFor(route: Route, asked: Asked, peer: Peer): Decision {
  const { policy, upstream } = route;
  if (policy?.allow) {
    const client = clientOf(asked, peer);
    if (!allowed(policy, client)) return { kind: 'page', page: pages.notAllowed(client), route };
  }
  if (policy?.cors && asked.preflight) {
    const preflight = { origin: asked.origin, ...asked.preflight };
    const page = pages.preflight(preflightFields(policy.cors, preflight));
    return { kind: 'page', page, route };
  }
  if (!upstream) return { kind: 'page', page: podPage(route), route };
  if (route.protocol !== 'http')
    return { kind: 'page', page: pages.notHttp(route.protocol), route };
  // Its TLS was ended here before the pod asked for it: a new connection goes to the pod itself.
  if (policy?.passthrough) return { kind: 'page', page: pages.misdirected, route: undefined };
  return { kind: 'forward', route, upstream };
}

/**
 * Whether a connection made for another host may ask this one: both of one pod, with one protocol and
 * policy, and the certificate that was shown good for both. Browsers do so in HTTP/2.
 */
function coalesces(host: string, { sni = '', shown }: Peer, { table }: Routing): boolean {
  const asked = table.find(host);
  const opened = table.find(sni);
  return (
    asked !== undefined &&
    opened !== undefined &&
    asked.tenant === opened.tenant &&
    asked.pod === opened.pod &&
    asked.protocol === opened.protocol &&
    isDeepStrictEqual(asked.policy, opened.policy) &&
    shown?.covers(host) === true
  );
}
