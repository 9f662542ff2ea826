import type { Route, RouteEvent } from '#contracts/route.ts';

/** What a bus tells a gateway, as tests want it: one epoch, and nothing missing unless they say so. */

type Of<Kind> = Extract<RouteEvent, { kind: Kind }>;

const epoch = 'test';

/** All its routes were written at `revision`, and it is meant, unless `change` says otherwise. */
export const snapshotOf = (
  revision: number,
  routes: readonly Route[],
  change: Partial<Of<'snapshot'>> = {},
): Of<'snapshot'> => ({
  kind: 'snapshot',
  epoch,
  revision,
  routes: new Map(routes.map((route) => [route.host, { revision, route }])),
  shrinkIntended: true,
  ...change,
});

export const putOf = (revision: number, host: string, route: unknown): Of<'put'> => ({
  kind: 'put',
  epoch,
  revision,
  previous: revision - 1,
  host,
  route,
});

export const dropOf = (revision: number, host: string): Of<'drop'> => ({
  kind: 'drop',
  epoch,
  revision,
  previous: revision - 1,
  host,
});
