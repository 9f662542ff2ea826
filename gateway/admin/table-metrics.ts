import type { Registry } from 'prom-client';
import type { CertificateFeed } from '../certificates/feed.ts';
import type { RouteRegister } from '../route-register.ts';
import { counter, gauge } from './series.ts';

/** Metrics of the routes and certificates that the parent keeps for its workers. */

export interface TableSources {
  readonly routes: RouteRegister;
  readonly certificates: CertificateFeed;
  /** The revision that all workers apply. */
  readonly applied: () => number;
}

export function observeTables(registry: Registry, sources: TableSources): void {
  observeRoutes(registry, sources);
  observeCertificates(registry, sources);
}

function observeRoutes(registry: Registry, { routes, applied }: TableSources): void {
  observeFreshness(registry, routes);
  gauge(registry, { name: 'podgate_gateway_routes', help: 'Hosts that have a route.' }, () => {
    return routes.routes.size;
  });
  gauge(
    registry,
    {
      name: 'podgate_gateway_routes_refused',
      help: 'Hosts whose newest value did not validate: they keep the route before it, or none.',
    },
    () => routes.quarantined,
  );
  gauge(
    registry,
    {
      name: 'podgate_gateway_table_revision',
      help: 'Revision of the route table that this gateway has; -1 before the first.',
    },
    () => routes.revision,
  );
  gauge(
    registry,
    {
      name: 'podgate_gateway_table_applied_revision',
      help: 'Revision that every worker applies; -1 before the first.',
    },
    applied,
  );
}

function observeFreshness(registry: Registry, routes: RouteRegister): void {
  gauge(
    registry,
    {
      name: 'podgate_gateway_table_age_seconds',
      help: 'For how long nobody has stood by the table: 0 while the bus of routes is followed and the controller beats, else since the last contact, or since saved tables were saved.',
    },
    () => routes.freshness().ageMs / 1000,
  );
  counter(
    registry,
    {
      name: 'podgate_gateway_table_refollows_total',
      help: 'How often the bus of routes had to be followed anew, and why.',
      labelNames: ['why'],
    },
    () => routes.refollowed.entries().map(([why, value]) => ({ labels: { why }, value })),
  );
  gauge(
    registry,
    {
      name: 'podgate_gateway_table_from_disk',
      help: 'Whether the table is the one that the last run saved (1) or one that a controller told (0).',
    },
    () => (routes.freshness().source === 'disk' ? 1 : 0),
  );
  gauge(
    registry,
    {
      name: 'podgate_gateway_table_changed_timestamp_seconds',
      help: 'When the table was last changed, in Unix time; 0 before the first.',
    },
    () => (routes.freshness().changedAtMs ?? 0) / 1000,
  );
}

function observeCertificates(registry: Registry, { certificates, routes }: TableSources): void {
  const ends = () => certificates.ends((host) => routes.routes.has(host));
  gauge(
    registry,
    {
      name: 'podgate_gateway_certificates_not_after_timestamp_seconds',
      help: 'When the first certificate ends that clients are shown, in Unix time.',
    },
    // Of none there is: never.
    () => (ends().firstMs ?? Infinity) / 1000,
  );
  gauge(
    registry,
    {
      name: 'podgate_gateway_certificates_ending',
      help: 'Certificates that clients are shown and that have ended (0d), or end within seven days (7d).',
      labelNames: ['within'],
    },
    () => {
      const { ended, within7Days } = ends();
      return [
        { labels: { within: '0d' }, value: ended },
        { labels: { within: '7d' }, value: within7Days },
      ];
    },
  );
  gauge(
    registry,
    { name: 'podgate_gateway_certificates', help: 'Certificates that the parent knows.' },
    () => certificates.counts.known,
  );
  gauge(
    registry,
    {
      name: 'podgate_gateway_certificates_unusable',
      help: 'Certificates that were tried and cannot be used: the wildcard answers for their hosts.',
    },
    () => certificates.counts.unusable,
  );
}
