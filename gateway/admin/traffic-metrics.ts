import type { Registry } from 'prom-client';
import { latencyBoundsSeconds } from '#contracts/traffic.ts';
import type { Now, Timing } from '../observe/report.ts';
import { countedLimits, handshakeResults, listeners, protocols } from '../observe/report.ts';
import { pages } from '../pages/pages.ts';
import type { Sample } from './series.ts';
import { counter, gauge, histogram } from './series.ts';
import type { Totals } from './totals.ts';

/**
 * Metrics of what goes through the gateway. None has a label for the pod: 100,000 pods would be as many
 * series, many times over. Those numbers are the API's, pod by pod.
 */
export function observeTraffic(registry: Registry, totals: Totals): void {
  observeClients(registry, totals);
  observeUpstreams(registry, totals);
  observeOpen(registry, totals);
}

const upstreamCodes = [pages.upstreamRefused.code, pages.connectTimeout.code, pages.hungUp.code];
const classes = ['1xx', '2xx', '3xx', '4xx', '5xx'];

function observeClients(registry: Registry, totals: Totals): void {
  counter(
    registry,
    {
      name: 'podgate_gateway_connections_total',
      help: 'Connections that clients made, by listening port.',
      labelNames: ['listener'],
    },
    () => each('listener', totals.connections, listeners),
  );
  counter(
    registry,
    {
      name: 'podgate_gateway_handshakes_total',
      help: 'How TLS began: a full or a resumed handshake, passed on to the pod undecrypted, refused by an alert of ours, or failed within TLS or by its deadline.',
      labelNames: ['result'],
    },
    () => each('result', totals.handshakes, handshakeResults),
  );
  counter(
    registry,
    {
      name: 'podgate_gateway_requests_total',
      help: 'Requests answered, by protocol of the client and class of the status; a WebSocket is a 1xx of its own protocol, a session of tcp or postgres 2xx when it is joined with its pod; who leaves without an answer is a 4xx.',
      labelNames: ['protocol', 'class'],
    },
    () => requestSamples(totals),
  );
  timing(registry, 'podgate_gateway_request_seconds', () => totals.requestTiming, {
    help: 'From the whole head of a request to the last byte of its answer.',
  });
  counter(
    registry,
    {
      name: 'podgate_gateway_received_bytes_total',
      help: 'Bytes that came from clients, without TLS.',
    },
    () => totals.bytesIn,
  );
  counter(
    registry,
    { name: 'podgate_gateway_sent_bytes_total', help: 'Bytes that went to clients, without TLS.' },
    () => totals.bytesOut,
  );
  counter(
    registry,
    {
      name: 'podgate_gateway_limits_hit_total',
      help: 'How often a bound of the gateway was reached, by its name in gateway/limits.ts.',
      labelNames: ['limit'],
    },
    () => each('limit', totals.limitsHit, countedLimits),
  );
}

function observeUpstreams(registry: Registry, totals: Totals): void {
  timing(registry, 'podgate_gateway_upstream_first_byte_seconds', () => totals.firstByteTiming, {
    help: 'From a request on its way to the pod to the first byte of the answer.',
  });
  counter(
    registry,
    {
      name: 'podgate_gateway_upstream_connections_total',
      help: 'Connections made to pods; requests beyond them used one that was there.',
    },
    () => totals.upstreamConnections,
  );
  counter(
    registry,
    {
      name: 'podgate_gateway_upstream_errors_total',
      help: 'Requests and sessions that a pod gave no answer to, or none that can be passed on, by the code that the client was told.',
      labelNames: ['code'],
    },
    () => each('code', totals.upstreamErrors, upstreamCodes),
  );
  gauge(
    registry,
    {
      name: 'podgate_gateway_upstream_connections',
      help: 'Connections to pods that there are: serving a request, or kept for the next.',
      labelNames: ['state'],
    },
    () => [
      { labels: { state: 'busy' }, value: sum(totals, ({ upstreamBusy }) => upstreamBusy) },
      { labels: { state: 'idle' }, value: sum(totals, ({ upstreamIdle }) => upstreamIdle) },
    ],
  );
}

function observeOpen(registry: Registry, totals: Totals): void {
  const open: readonly (readonly [string, string, (now: Now) => number])[] = [
    ['connections', 'Connections of clients that are open.', (now) => now.connections],
    ['requests_in_flight', 'Requests that have no whole answer yet.', (now) => now.requests],
    ['tunnels', 'WebSockets and sessions of tcp and postgres that are open.', (now) => now.tunnels],
    [
      'tls_contexts',
      'TLS contexts that workers hold ready, one for each host and worker; a cold host costs one.',
      (now) => now.contexts,
    ],
  ];
  for (const [name, help, pick] of open) {
    gauge(registry, { name: `podgate_gateway_${name}`, help }, () => sum(totals, pick));
  }
}

function timing(
  registry: Registry,
  name: string,
  read: () => Timing,
  { help }: { readonly help: string },
): void {
  histogram(registry, { name, help, bounds: latencyBoundsSeconds }, () => {
    const { counts, sumSeconds } = read();
    return [{ labels: {}, counts, sum: sumSeconds }];
  });
}

/** One sample for each name there is; `known` ones are there from the start, at zero. */
function each(
  label: string,
  counts: Readonly<Record<string, number>>,
  known: readonly string[] = [],
): readonly Sample[] {
  const names = new Set([...known, ...Object.keys(counts)]);
  return Array.from(names, (name) => ({ labels: { [label]: name }, value: counts[name] ?? 0 }));
}

const requestSamples = ({ requests }: Totals): readonly Sample[] =>
  protocols.flatMap((protocol) =>
    classes.map((name, index) => ({
      labels: { protocol, class: name },
      value: requests[protocol]?.[index] ?? 0,
    })),
  );

const sum = ({ living }: Totals, pick: (now: Now) => number): number =>
  living.reduce((total, { now }) => total + pick(now), 0);
