import type { Address, Route } from '#contracts/route.ts';
import type { Page } from './pages/pages.ts';
import { pages, podPage } from './pages/pages.ts';

/** What happens to one HTTP request, decided from memory alone. */
export type Decision =
  | { readonly kind: 'forward'; readonly route: Route; readonly upstream: Address }
  | { readonly kind: 'page'; readonly page: Page };

export interface Routing {
  readonly table: { find(host: string): Route | undefined };
  /** The host of the API and of `/ca.pem`. */
  readonly domain: string;
  readonly publicHttpsPort: number;
}

interface Asked {
  readonly host: string;
  readonly target: string;
  /** The name of the TLS handshake; undefined on the plain port. */
  readonly sni: string | undefined;
}

/** Decides by host, with the SNI as a witness (RFC 9110, 15.5.20 and RFC 6066, 11). */
export function decide(asked: Asked, routing: Routing): Decision {
  if (asked.sni === undefined) return decidePlain(asked, routing);
  const route = routing.table.find(asked.host);
  if (asked.sni !== asked.host && !sameOwner(route, routing.table.find(asked.sni))) {
    return { kind: 'page', page: pages.misdirected };
  }
  if (!route) return { kind: 'page', page: pages.unknownHost(asked.host) };
  return forward(route);
}

/** On the plain port only the CA to trust is served; all else moves to https. */
function decidePlain({ host, target }: Asked, routing: Routing): Decision {
  const { table, domain, publicHttpsPort } = routing;
  const route = table.find(host);
  if (route && host === domain && target === '/ca.pem') return forward(route);
  if (!route && !host.endsWith(`.${domain}`)) {
    return { kind: 'page', page: pages.unknownHost(host) };
  }
  const port = publicHttpsPort === 443 ? '' : `:${publicHttpsPort}`;
  const path = target === '*' ? '/' : target;
  return { kind: 'page', page: pages.moved(`https://${host}${port}${path}`) };
}

function forward(route: Route): Decision {
  if (!route.upstream) return { kind: 'page', page: podPage(route) };
  if (route.protocol !== 'http') return { kind: 'page', page: pages.notHttp(route.protocol) };
  return { kind: 'forward', route, upstream: route.upstream };
}

/** Two hosts of one pod with one protocol may share a connection; nothing else may. */
function sameOwner(a: Route | undefined, b: Route | undefined): boolean {
  return (
    a !== undefined &&
    b !== undefined &&
    a.tenant === b.tenant &&
    a.pod === b.pod &&
    a.protocol === b.protocol
  );
}
