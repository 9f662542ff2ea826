import { MemoryLogExchange } from '#adapters/memory/log-exchange.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryTrafficExchange } from '#adapters/memory/traffic-exchange.ts';
import { openSqliteStore } from '#adapters/sqlite/store.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import { startApi } from '../../api/api.ts';
import { accessTokenSeconds, openTokens } from '../../api/auth/tokens.ts';
import { ensureUser } from '../../api/auth/users.ts';

/** The REST API alone, on SQLite, in a folder that is its argument; sends its port and a token. */

const folder = process.argv[2] ?? '';
const tenant = 'default';
const store = openSqliteStore(`${folder}/podgate.db`);
const ports = {
  store,
  clock: systemClock,
  sealer: openSealer(`${folder}/key`),
  random: systemRandom,
  logs: new MemoryLogExchange(),
  traffic: new MemoryTrafficExchange(),
  routes: new MemoryRouteBus(),
  log: { debug() {}, info() {}, warn() {}, error: console.error },
};
const api = await startApi(ports, {
  tenant,
  domain: 'localhost',
  host: '127.0.0.1',
  port: 0,
  publicHttpsPort: 8443,
  trustedProxies: [],
  runtime: 'process',
  statusCodes: 'http',
  requestsPerMinute: 0,
  programs: { postgres: undefined, neo4j: undefined },
});
await ensureUser(ports, { tenant, username: 'admin', password: 'of the bench', admin: true });
const tokens = await openTokens(ports, tenant);
const token = await tokens.issue(
  { username: 'admin', accountType: 'user' },
  { issuer: `http://127.0.0.1:${api.port}/v3/tokens`, seconds: accessTokenSeconds },
);

export interface ApiReady {
  readonly port: number;
  readonly token: string;
}
process.send?.({ port: api.port, token: token.access_token } satisfies ApiReady);
