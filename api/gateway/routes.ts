import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import type { RouteEvent } from '#contracts/route.ts';
import { zRoute } from '#contracts/route.ts';
import { actingOf } from '../access/declared.ts';
import type { App } from '../app.ts';
import { answers, success } from '../envelope.ts';
import { Refused } from '../errors.ts';
import type { ApiPorts } from '../ports.ts';

/** What the API says of the gateway: the routes it serves, and the pages of its errors. */

const tags = ['misc'];
const snapshotMs = 2_000;

const zRouteTable = z
  .strictObject({ revision: z.int(), routes: z.array(zRoute.meta({ id: 'Route' })) })
  .meta({ id: 'RouteTable' });

export function gatewayRoutes(app: App, ports: ApiPorts): void {
  app.get(
    '/v3/traefik-config',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'traefik_config',
        tags,
        summary: 'The routes that gateways serve, in our own words and not in those of Traefik',
        response: answers(zRouteTable),
      },
    },
    async (request) => {
      const { revision, routes } = await snapshot(ports);
      const { tenant, siteAdmin } = actingOf(request);
      const shown = routes.filter((route) => siteAdmin || route.tenant === tenant);
      return success({ revision, routes: shown }, 'Routes retrieved successfully.');
    },
  );
  app.get(
    '/v3/error-handler/:status',
    {
      config: { access: 'anybody' },
      schema: {
        operationId: 'error_handler',
        tags,
        summary: 'The envelope of a failure with this status',
        params: z.object({
          status: z.coerce
            .number<string>('must be a status from 400 to 599')
            .int('must be a status from 400 to 599')
            .min(400, 'must be a status from 400 to 599')
            .max(599, 'must be a status from 400 to 599'),
        }),
        response: answers(z.null()),
      },
    },
    async (request) => {
      const { status } = request.params;
      throw new Refused(status, `The gateway answered ${status} ${STATUS_CODES[status] ?? ''}.`);
    },
  );
}

/** What is published now. Throws `Refused` when no controller has ever published anything. */
async function snapshot({ routes, clock }: ApiPorts) {
  const limit = new AbortController();
  const cancel = clock.after(snapshotMs, () => limit.abort());
  try {
    for await (const event of routes.follow('api', limit.signal)) {
      if (event.kind === 'snapshot') return readable(event);
    }
  } finally {
    cancel();
    limit.abort();
  }
  throw new Refused(503, 'No routes are published at the moment: no controller is there.');
}

const readable = ({ revision, routes }: Extract<RouteEvent, { kind: 'snapshot' }>) => ({
  revision,
  // One that does not parse is what gateways put aside too.
  routes: [...routes.values()].flatMap(({ route }) => {
    const parsed = zRoute.safeParse(route);
    return parsed.success ? [parsed.data] : [];
  }),
});
