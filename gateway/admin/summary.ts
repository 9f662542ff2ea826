import type { Route } from '#contracts/route.ts';
import type { RouteRegister, RouteStory } from '../route-register.ts';
import type { Shown } from './certificate-view.ts';
import type { Outcome, Replayed } from './replay.ts';

export interface Known {
  readonly host: string;
  readonly routes: Pick<RouteRegister, 'isApi' | 'isForPods'>;
  readonly route: Route | undefined;
  readonly story: RouteStory;
  readonly clients: readonly Replayed[];
  /** Null where TLS is not ended by the gateway. */
  readonly shown: Shown | null;
}

/** One sentence for a person who asks why a host answers as it does. */
export function summarize(known: Known): string {
  const [first] = known.clients;
  const outcome = first ? inWords(first.outcome) : 'nothing is known';
  return `${known.host} ${subject(known)}: ${outcome}${certificate(known)}.`;
}

function subject({ host, routes, route, story }: Known): string {
  if (route) {
    if (routes.isApi(host)) return 'is the host of the API';
    return `is ${route.state}, network ${route.network} (${route.protocol}) of pod ${route.pod}`;
  }
  if (story.quarantined !== undefined) {
    return 'has no route, because the one the controller published makes no sense';
  }
  if (story.dropped) {
    const { atMs, revision } = story.dropped;
    return `has had no route since revision ${revision} at ${new Date(atMs).toISOString()}`;
  }
  return routes.isForPods(host)
    ? 'has no route, no pod has this address'
    : 'is no host of a pod and has no route';
}

function inWords(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'forward':
      return `requests are forwarded to ${addressOf(outcome)}`;
    case 'splice':
      return `TLS is ended here and the bytes are passed to ${addressOf(outcome)}`;
    case 'pass':
      return `the encrypted bytes are passed to ${addressOf(outcome)}, which ends TLS itself`;
    case 'page':
      return `clients get ${outcome.code} (${outcome.status}), "${outcome.message}"`;
    case 'postgres-error':
      return `Postgres clients get the error ${outcome.sql_state}, "${outcome.message}"`;
    case 'alert':
      return `the handshake ends with the TLS alert ${outcome.alert}`;
  }
}

const addressOf = ({ upstream }: Extract<Outcome, { upstream: object }>): string =>
  `${upstream.host}:${upstream.port}`;

function certificate({ shown }: Known): string {
  if (!shown) return '';
  if (!shown.certificate) return ` (${shown.why})`;
  const until = shown.certificate.not_after.slice(0, 10);
  return shown.which === 'own'
    ? `, under its own certificate, good until ${until}`
    : `, under the wildcard certificate (good until ${until}) since ${shown.why}`;
}
