import cors from '@fastify/cors';
import rateLimit from '@fastify/rate-limit';
import type { FastifyRequest } from 'fastify';
import { actingOf } from './access/declared.ts';
import type { App } from './app.ts';
import type { Caller } from './auth/caller.ts';
import { TooManyTries } from './auth/identity.ts';
import { Refused } from './errors.ts';
import type { ApiPorts } from './ports.ts';
import { countingStore, userPrefix } from './request-counts.ts';

/**
 * Checking a password or a key takes a tenth of a second of a core on purpose: strangers are not
 * let ask for more of that, whatever names they try.
 */
export const loginsPerAddress = { max: 60, timeWindow: 60_000 };

type FindCaller = (request: FastifyRequest) => Promise<Caller>;

/**
 * Rules for every request of the routes made from here on: where pages may call from, how often.
 * Returns what makes finding a caller tell addresses to wait that keep failing at it.
 */
export async function ruleTraffic(
  app: App,
  requestsPerMinute: number,
  ports: Pick<ApiPorts, 'store' | 'clock'>,
): Promise<(find: FindCaller) => FindCaller> {
  // Tokens travel in a header that a page has to be given: any page may ask, none can borrow.
  await app.register(cors, {
    origin: '*',
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    allowedHeaders: [
      'Authorization',
      'Content-Type',
      'Idempotency-Key',
      'If-Match',
      'If-None-Match',
      'Last-Event-ID',
      'X-Request-Id',
      'X-Tapis-Token',
      'X-Tapis-Tracking-ID',
    ],
    exposedHeaders: ['ETag', 'Idempotency-Replayed', 'Retry-After', 'X-Request-Id'],
    maxAge: 600,
    // OPTIONS is answered to everybody, as on the wire, whether it is a preflight or not.
    strictPreflight: false,
  });
  if (requestsPerMinute === 0) return (find) => find;
  await app.register(rateLimit, {
    max: requestsPerMinute,
    timeWindow: 60_000,
    store: countingStore(ports),
    // After the caller is known: users behind one address do not wait for each other.
    hook: 'preHandler',
    keyGenerator: (request) => {
      const { access } = request.routeOptions.config;
      if (!access || access === 'anybody') return `address ${request.ip}`;
      const { tenant, username } = actingOf(request);
      return `${userPrefix}${tenant}/${username}`;
    },
    errorResponseBuilder: (_request, { after, max }) =>
      new Refused(429, `Too many requests: more than ${max} in a minute, wait ${after}.`),
  });
  return limitStrangers(app, requestsPerMinute);
}

/**
 * Only the failures of an address are counted and refused: who comes from there with a valid token
 * is not made to wait for somebody who has none.
 */
function limitStrangers(app: App, max: number): (find: FindCaller) => FindCaller {
  const failed = app.createRateLimit({
    max,
    timeWindow: 60_000,
    keyGenerator: ({ ip }) => `nobody at ${ip}`,
  });
  return (find) => async (request) => {
    try {
      return await find(request);
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 401) throw error;
      const limit = await failed(request);
      if (limit.isAllowed || !limit.isExceeded) throw error;
      throw new TooManyTries(limit.ttlInSeconds);
    }
  };
}
