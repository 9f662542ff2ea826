import { once } from 'node:events';
import type net from 'node:net';
import type { Clock } from '#contracts/clock.ts';
import type { Route } from '#contracts/route.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import type { Deadlines } from '../gateway/deadlines.ts';
import type { Http1Context, Peer } from '../gateway/http1/context.ts';
import { limits } from '../gateway/limits.ts';
import { AccessLog } from '../gateway/observe/access-log.ts';
import { Meters } from '../gateway/observe/meters.ts';
import type { ServingTerms } from '../gateway/messages.ts';
import { H2cSessions } from '../gateway/upstream/h2c-sessions.ts';
import { UpstreamPool } from '../gateway/upstream/pool.ts';

/** Parts of a gateway as tests want them: ones that are fine, with what matters to a test changed. */

export const exampleRoute = (change: Partial<Route> = {}): Route => ({
  host: 'a.test',
  tenant: 'default',
  pod: 'a',
  network: 'default',
  protocol: 'http',
  state: 'ready',
  message: '',
  upstream: { host: '127.0.0.1', port: 1 },
  ...change,
});

export const examplePeer = (change: Partial<Peer> = {}): Peer => ({
  sni: 'a.test',
  address: '192.0.2.7',
  port: 443,
  trustedProxies: [],
  shown: undefined,
  ...change,
});

/** What an operator has who sets nothing. */
export const servingTerms: ServingTerms = {
  domain: 'example.test',
  publicHttpsPort: 443,
  httpPort: 80,
  trustedProxies: [],
  proxyProtocol: false,
  forwardedHeader: false,
  hstsSeconds: 0,
  contextsMax: limits.contextsMax,
  accessLog: 'off',
  accessLogFile: '',
  api: { host: '127.0.0.1', port: 1 },
};

/** Meters without an access log. */
export function silentMeters(clock: Clock): Meters {
  const sink = { write: (_lines: string, done: () => void): void => done() };
  const log = new AccessLog({ level: 'off', sink, clock }, { pid: 1, hostname: 'test' });
  return new Meters(clock, log);
}

/** What the HTTP connections of a worker share, with routes from `find`. */
export const httpContext = (
  deadlines: Deadlines,
  find: (host: string) => Route | undefined,
  draining = (): boolean => false,
): Http1Context => ({
  challenges: { get: (_id, done) => done(undefined) },
  routing: {
    challenges: { find: () => undefined },
    table: { find, isApi: () => false, isForPods: () => true },
    domain: 'test',
    publicHttpsPort: 443,
  },
  upstreams: new UpstreamPool(deadlines, limits),
  h2cSessions: new H2cSessions(deadlines, limits),
  coders: { running: 0 },
  forwardedHeader: false,
  hsts: '',
  webSockets: new Set<never>(),
  connections: new Set(),
  random: systemRandom,
  meters: silentMeters(systemClock),
  deadlines,
  limits,
  nextRequestId: () => 'id-1',
  draining,
});

/** The port of a server that listens. */
export function portOf(server: net.Server): number {
  const address = server.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

/** Starts to listen on a free port of 127.0.0.1, which it returns. */
export async function listening(server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return portOf(server);
}
