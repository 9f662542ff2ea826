import { isIP } from 'node:net';
import type { AdminAnswer } from '#contracts/admin.ts';
import { parentOf, podHost, wildcardOf } from '#contracts/hosts.ts';
import type { Route } from '#contracts/route.ts';
import { zRoute } from '#contracts/route.ts';
import type { NetworkTraffic } from '#contracts/traffic.ts';
import type { RecentError } from '../observe/report.ts';
import type { RouteRegister, RouteStory } from '../route-register.ts';
import type { CertificateLookup, Shown } from './certificate-view.ts';
import { isoTime, shownFor } from './certificate-view.ts';
import type { ErrorBook } from './error-book.ts';
import type { Replayed } from './replay.ts';
import { replay } from './replay.ts';
import type { TrafficBook } from './traffic-book.ts';
import { summarize } from './summary.ts';

export interface ExplainSources {
  readonly domain: string;
  readonly publicHttpsPort: number;
  readonly routes: RouteRegister;
  readonly certificates: CertificateLookup;
  readonly book: Pick<TrafficBook, 'ofHost'>;
  readonly errors: Pick<ErrorBook, 'of'>;
}

const example = (domain: string): string => `/explain?host=${podHost('hello', 'default', domain)}`;

/**
 * What the gateway does with connections for `host` and why, from the parent's own tables; nothing
 * is asked of a worker or a pod. `client` is an address to judge by the allow list.
 */
export function explain(query: URLSearchParams, sources: ExplainSources): AdminAnswer {
  const host = hostOf(query.get('host') ?? '');
  if (host === undefined) {
    const message = `query, host: name a host as clients do, such as ${example(sources.domain)}`;
    return { status: 400, body: { message } };
  }
  const client = query.get('client') ?? undefined;
  if (client !== undefined && isIP(client) === 0) {
    const message = `query, client: is no IP address, try ${example(sources.domain)}&client=192.0.2.7`;
    return { status: 400, body: { message } };
  }
  return { status: 200, body: explanation(host, client, sources) };
}

/** A host as it stands in tables, whatever of port, case or final dot it was asked with. */
function hostOf(text: string): string | undefined {
  const host = text.trim().toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '');
  return host.length <= 253 && zRoute.shape.host.safeParse(host).success ? host : undefined;
}

function explanation(host: string, client: string | undefined, sources: ExplainSources): object {
  const { domain, routes, certificates, publicHttpsPort } = sources;
  const route = routes.find(host);
  const story = routes.story(host);
  const wildcard = routes.isApi(host) ? wildcardOf(host) : `*.${parentOf(host)}`;
  const clients = replay(host, client, {
    challenges: { find: () => undefined },
    table: routes,
    domain,
    publicHttpsPort,
  });
  const tls = tlsView(host, { route, clients, wildcard }, certificates);
  const answered = withoutHandshake(clients, tls.certificate);
  return {
    summary: summarize({ host, routes, route, story, clients: answered, shown: tls.certificate }),
    host,
    ...(client === undefined ? {} : { client }),
    table: tableView(routes),
    route: routeView(route, story, routes),
    tls,
    clients: answered,
    traffic: trafficView(sources.book.ofHost(host)),
    ...trouble(sources.errors.of(host)),
  };
}

function trafficView({ latencyCounts: _counts, ...traffic }: NetworkTraffic): object {
  const { requests, statuses, bytesIn, bytesOut, open, lastActivityMs } = traffic;
  return {
    requests,
    statuses: Object.fromEntries(statuses.map((count, index) => [`${index + 1}xx`, count])),
    bytes_in: bytesIn,
    bytes_out: bytesOut,
    open,
    last_activity: lastActivityMs === null ? null : isoTime(lastActivityMs),
  };
}

/** What went wrong lately, newest first. */
function trouble(errors: readonly RecentError[]): object {
  const shown = (wanted: RecentError['kind']): object[] =>
    errors
      .filter(({ kind }) => kind === wanted)
      .map(({ code, message, atMs }) => ({ at: isoTime(atMs), code, message }));
  return { limits_hit: shown('limit'), last_errors: shown('upstream') };
}

interface TlsView {
  readonly mode: 'terminate' | 'passthrough' | 'refuse';
  readonly alpn: readonly string[] | null;
  readonly certificate: Shown | null;
}

function tlsView(
  host: string,
  {
    route,
    clients,
    wildcard,
  }: {
    readonly route: Route | undefined;
    readonly clients: readonly Replayed[];
    readonly wildcard: string;
  },
  certificates: CertificateLookup,
): TlsView {
  if (route?.policy?.passthrough) {
    return { mode: 'passthrough', alpn: null, certificate: null };
  }
  const ended = clients.find(({ outcome }) => outcome.kind !== 'alert');
  if (!ended) return { mode: 'refuse', alpn: null, certificate: null };
  const offers = route?.protocol === 'http' || !route ? ended.alpn : alpnOf(route);
  const shown = shownFor(
    host,
    { own: ended.own_certificate, wildcardName: wildcard },
    certificates,
  );
  return { mode: 'terminate', alpn: offers, certificate: shown };
}

/** What a client may choose from; one that offers none of them gets no answer to its list. */
const alpnOf = ({ protocol, policy }: Route): readonly string[] =>
  protocol === 'postgres' ? ['postgresql'] : (policy?.alpn ?? []);

/** Without a certificate to show, everybody whose TLS would be ended gets the alert. */
function withoutHandshake(clients: readonly Replayed[], shown: Shown | null): readonly Replayed[] {
  if (shown?.which !== 'none') return clients;
  return clients.map((client) => ({
    ...client,
    outcome: { kind: 'alert', alert: 'unrecognized_name' },
  }));
}

function tableView(routes: RouteRegister): object {
  const { source, ageMs, changedAtMs } = routes.freshness();
  return {
    source: { none: 'none yet', disk: 'saved by the last run', bus: 'the controller' }[source],
    revision: routes.revision,
    routes: routes.routes.size,
    changed_at: changedAtMs === undefined ? null : isoTime(changedAtMs),
    age_seconds: ageMs / 1000,
  };
}

function routeView(route: Route | undefined, story: RouteStory, routes: RouteRegister): object {
  const { changed, dropped, quarantined } = story;
  const newest = quarantined === undefined ? {} : { newest_value_refused: quarantined };
  if (!route) {
    const gone = dropped && {
      dropped_at: isoTime(dropped.atMs),
      dropped_at_revision: dropped.revision,
    };
    return { found: false, ...gone, ...newest };
  }
  const { host: _host, policy = {}, ...fields } = route;
  return {
    found: true,
    ...fields,
    policy,
    revision: changed?.revision ?? null,
    changed_at: changed ? isoTime(changed.atMs) : null,
    published_by: publisherOf(route, changed !== undefined, routes),
    ...newest,
  };
}

function publisherOf(route: Route, published: boolean, routes: RouteRegister): string {
  if (routes.isApi(route.host)) return 'the gateway itself: it is the host of the API';
  return published
    ? 'the controller'
    : 'the gateway itself, while it waits for the first table of the controller';
}
