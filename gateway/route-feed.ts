import type { Route, RouteEvent } from '#contracts/route.ts';
import { zRoute } from '#contracts/route.ts';
import type { RouteLedger } from './route-ledger.ts';

/** What an event of the bus means for the table. */
export interface TableChange {
  readonly puts: readonly Route[];
  readonly drops: readonly string[];
  readonly revision: number;
  /** Values that do not validate: their hosts keep the route they have. */
  readonly quarantined: readonly { readonly host: string; readonly reason: string }[];
}

export type TableEvent = Exclude<RouteEvent, { kind: 'beat' }>;
type SnapshotEvent = Extract<RouteEvent, { kind: 'snapshot' }>;

// A table that loses more than this at once is taken for somebody's accident.
const shrinkShareMax = 0.2;
const shrinkCountMin = 10;

/**
 * Decides what to change, or returns 'refused' for a snapshot that would drop more than a fifth of
 * the routes without the controller saying that it is meant. Of a snapshot only what is newer than
 * what `ledger` heard counts.
 */
export function changeFor(
  event: TableEvent,
  table: ReadonlyMap<string, Route>,
  ledger: RouteLedger,
): TableChange | 'refused' {
  const { revision } = event;
  switch (event.kind) {
    case 'mark':
      return { puts: [], drops: [], revision, quarantined: [] };
    case 'drop':
      return { puts: [], drops: [event.host], revision, quarantined: [] };
    case 'put':
      return { drops: [], revision, ...validate([[event.host, event.route]]) };
    case 'snapshot':
      return snapshotChange(event, table, ledger);
  }
}

function snapshotChange(
  { epoch, revision, routes, shrinkIntended }: SnapshotEvent,
  table: ReadonlyMap<string, Route>,
  ledger: RouteLedger,
): TableChange | 'refused' {
  const drops = [...table.keys()].filter(
    (host) => !routes.has(host) && ledger.isNewer(epoch, host, revision),
  );
  const tooMany = drops.length > Math.max(shrinkCountMin, table.size * shrinkShareMax);
  if (tooMany && !shrinkIntended) return 'refused';
  const news = routes
    .entries()
    .filter(([host, told]) => ledger.isNewer(epoch, host, told.revision));
  const values = news.map(([host, told]) => [host, told.route] as const);
  return { drops, revision, ...validate(values) };
}

function validate(values: Iterable<readonly [string, unknown]>) {
  const puts: Route[] = [];
  const quarantined: { host: string; reason: string }[] = [];
  for (const [host, value] of values) {
    const parsed = zRoute.safeParse(value);
    if (!parsed.success) quarantined.push({ host, reason: parsed.error.message });
    else if (parsed.data.host !== host) quarantined.push({ host, reason: 'is for another host' });
    else puts.push(parsed.data);
  }
  return { puts, quarantined };
}
