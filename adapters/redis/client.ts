import { Cluster, Redis } from 'ioredis';
import type { RedisAddress } from './address.ts';

/** One connection to a server, or one to each node of a cluster. */
export type Client = Redis | Cluster;

export interface RedisSettings {
  readonly address: RedisAddress;
  /** PEM; undefined: the machine's authorities. */
  readonly ca: string | undefined;
  /** Replicas that must have a write before it is answered. */
  readonly waitReplicas: number;
}

const connectMs = 2_000;
// Soon enough for a server that restarts, seldom enough for one that is away for long.
const reconnectMsMax = 1_000;

const pauseMs = (times: number): number => Math.min(times * 50, reconnectMsMax);

/**
 * A client that connects at once and again whenever it lost the connection, and that never sends a
 * command twice: what is repeated is the caller's decision. Without any byte for `silentMs` while
 * an answer is due, the connection counts as lost.
 */
export function createClient({ address, ca }: RedisSettings, silentMs: number): Client {
  const { hosts, username, password, db, sentinelUsername, sentinelPassword } = address;
  const tls = address.tls ? { tls: ca === undefined ? {} : { ca } } : {};
  const shared = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...tls,
    // Replies have one shape in it, in 3 some have another.
    protocol: 2 as const,
    connectTimeout: connectMs,
    socketTimeout: silentMs,
    autoResendUnfulfilledCommands: false,
  };
  if (address.kind === 'cluster') {
    return new Cluster([...hosts], {
      redisOptions: shared,
      clusterRetryStrategy: pauseMs,
      // Else it would send again what a lost connection may have brought to the server.
      retryDelayOnFailover: 0,
      // A certificate is checked against the name, if that is what was given.
      dnsLookup: (host, found) => found(null, host),
    });
  }
  const single = {
    ...shared,
    db,
    retryStrategy: pauseMs,
    enableOfflineQueue: false,
    // What awaits an answer when the connection breaks is told at once.
    maxRetriesPerRequest: 0,
    // A failover left us with what is a replica now.
    reconnectOnError: ({ message }: Error) => message.startsWith('READONLY'),
  };
  if (address.kind === 'single') return new Redis({ ...single, ...hosts[0] });
  return new Redis({
    ...single,
    sentinels: [...hosts],
    name: address.master,
    ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    sentinelRetryStrategy: pauseMs,
    sentinelCommandTimeout: connectMs,
    // A master that is cut off does not know that it is none any more; the Sentinels do.
    failoverDetector: true,
    ...(address.tls ? { enableTLSForSentinelMode: true, sentinelTLS: tls.tls ?? {} } : {}),
  });
}
