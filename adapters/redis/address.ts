/** Where a Redis is, as `PODGATE_REDIS_URL` says it. */
export interface RedisAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly tls: boolean;
  /** The server; for `sentinel` the Sentinels, for `cluster` some of the nodes. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** The database; a cluster has only 0. */
  readonly db: number;
  /** What the Sentinels call the master they watch. */
  readonly master: string;
  /** Who we are to the Sentinels, which have users of their own. */
  readonly sentinelUsername: string | undefined;
  readonly sentinelPassword: string | undefined;
}

/** The text is no address; the message says what is wrong and never repeats a password. */
export class BadRedisUrl extends Error {
  override readonly name = 'BadRedisUrl';
}

const forms =
  'redis://host:6379/0, redis+sentinel://host1:26379,host2:26379/master?sentinel_password=… or redis+cluster://host1:6379,host2:6379 (rediss for TLS)';
const shape =
  /^redis(?<tls>s?)(?:\+(?<kind>sentinel|cluster))?:\/\/(?:(?<user>[^:@/]*)(?::(?<password>[^@/]*))?@)?(?<hosts>[^@/?#]+)(?:\/(?<path>[^/?#]*))?(?:\?(?<query>[^?#]*))?$/;

/** Reads `redis[s]://`, `redis[s]+sentinel://` and `redis[s]+cluster://`. Throws `BadRedisUrl`. */
export function parseRedisUrl(url: string): RedisAddress {
  const parts = shape.exec(url)?.groups;
  if (!parts) throw new BadRedisUrl(`must look like ${forms}`);
  const kind =
    parts['kind'] === 'sentinel' || parts['kind'] === 'cluster' ? parts['kind'] : 'single';
  const hosts = String(parts['hosts'])
    .split(',')
    .map((text) => hostOf(text, kind === 'sentinel' ? 26_379 : 6379));
  if (kind === 'single' && hosts.length > 1) {
    throw new BadRedisUrl('names several hosts: redis+sentinel:// or redis+cluster:// takes them');
  }
  const path = decoded(parts['path'] ?? '');
  const query = queryOf(kind, parts['query']);
  return {
    kind,
    tls: parts['tls'] === 's',
    hosts,
    username: decoded(parts['user'] ?? '') || undefined,
    password: decoded(parts['password'] ?? '') || undefined,
    db: kind === 'single' ? databaseOf(path) : 0,
    master: masterOf(kind, path),
    sentinelUsername: query.get('sentinel_username'),
    sentinelPassword: query.get('sentinel_password'),
  };
}

const queryNames = ['sentinel_username', 'sentinel_password'];

function queryOf(kind: RedisAddress['kind'], text: string | undefined): Map<string, string> {
  if (text === undefined) return new Map();
  // What it says is not repeated: it may be a password.
  if (kind !== 'sentinel')
    throw new BadRedisUrl(`has a ? that only Sentinels have: it must look like ${forms}`);
  const query = new Map<string, string>();
  for (const pair of text.split('&')) {
    const [name = '', value = ''] = pair.split('=', 2).map(decoded);
    if (!queryNames.includes(name) || value === '')
      throw new BadRedisUrl(`may say after the ? only ${queryNames.join(' and ')}, with values`);
    query.set(name, value);
  }
  return query;
}

function masterOf(kind: RedisAddress['kind'], path: string): string {
  if (kind === 'sentinel' && path === '') {
    throw new BadRedisUrl('must end with the name of the master: redis+sentinel://host/master');
  }
  if (kind === 'cluster' && path !== '') {
    throw new BadRedisUrl('names a database, and a cluster has only one');
  }
  return kind === 'sentinel' ? path : '';
}

function databaseOf(path: string): number {
  if (!/^\d{0,9}$/.test(path)) throw new BadRedisUrl('must end with the number of a database');
  return Number(path);
}

function hostOf(text: string, fallback: number): { host: string; port: number } {
  const found = /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<name>[^:[\]]+))(?::(?<port>\d{1,5}))?$/.exec(
    text,
  );
  const port = Number(found?.groups?.['port'] ?? fallback);
  if (!found?.groups || port < 1 || port > 65_535) {
    throw new BadRedisUrl(`names a host that cannot be: "${text}"`);
  }
  return { host: found.groups['six'] ?? found.groups['name'] ?? '', port };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new BadRedisUrl('has a % that is not followed by two hexadecimal digits');
  }
}
