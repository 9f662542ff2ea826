import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import type { Log } from '#contracts/log.ts';
import type { Random } from '#contracts/random.ts';
import type { App } from './app.ts';

/**
 * A name for each request, by which its answer, its lines in the log and the actions it led to are
 * found together. One that came along, from the gateway or from a client, is kept when it is safe
 * wherever it is written.
 */

/** What the gateway takes over, too. */
const wellFormed = /^[\w.-]{1,64}$/;

/** The id of the request with these headers; without any, a new one. */
export type RequestIds = (headers?: IncomingHttpHeaders) => string;

export const requestIds =
  (random: Random): RequestIds =>
  (headers) => {
    const given = headers?.['x-request-id'];
    const kept = typeof given === 'string' && wellFormed.test(given);
    return kept ? given : random.bytes(12).toString('base64url');
  };

/** From here on every answer says the id of its request, and has a line in the log at `debug`. */
export function tellRequestIds(app: App, log: Log): void {
  app.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id);
  });
  app.addHook('onResponse', async (request, { statusCode: status, elapsedTime }) => {
    log.debug({ ...requestFields(request), status, ms: Math.round(elapsedTime) }, 'answered');
  });
}

/** What lines about a request say of it; paths are left out, for what is in their place. */
export function requestFields({ id, headers, routeOptions }: FastifyRequest): object {
  const { method, url: route } = routeOptions;
  return { requestId: id, trackingId: trackingId(headers), method, route };
}

/** What clients of the original call their request, when it can be written to a log. */
function trackingId(headers: IncomingHttpHeaders): string | undefined {
  const given = headers['x-tapis-tracking-id'];
  return typeof given === 'string' && /^[\w.-]{1,126}$/.test(given) ? given : undefined;
}
