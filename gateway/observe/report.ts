import type { NetworkTraffic } from '#contracts/traffic.ts';
import type { Limits } from '../limits.ts';

/**
 * What a worker tells its parent every second. Counts are those since its report before: a worker that
 * dies takes at most a second's with it, and the parent's sums never go back.
 */
export interface Report {
  readonly counts: Counts;
  readonly now: Now;
  /** Only networks with something to add; one may come twice. */
  readonly networks: readonly NetworkReport[];
  /** The newest, a few: for people who look, not for counting. */
  readonly errors: readonly RecentError[];
}

export const listeners = ['https', 'http'] as const;
export type Listener = (typeof listeners)[number];

/** How handshakes end. `refused`: by an alert before TLS; `failed`: within TLS, or too slow. */
export const handshakeResults = ['full', 'resumed', 'passed', 'refused', 'failed'] as const;
export type HandshakeResult = (typeof handshakeResults)[number];

/** Who spoke to us, in what. */
export const protocols = ['http1', 'http2', 'websocket', 'tcp', 'postgres'] as const;
export type Protocol = (typeof protocols)[number];

/** Bounds of `gateway/limits.ts` that are counted when somebody reaches them. */
export const countedLimits = [
  'connectionsPerWorkerMax',
  'addressConnectionsMax',
  'addressConnectionsPerSecond',
  'certificateWaitMs',
  'contextBuildsPerSecondMax',
  'responseHeadMs',
  'h2ResetsPerSecond',
  'h2ControlFramesPerSecond',
  'h2IdleFramesPerSecond',
] as const satisfies readonly (keyof Limits)[];
export type CountedLimit = (typeof countedLimits)[number];

/** A distribution in the buckets of `latencyBoundsSeconds`. */
export interface Timing {
  readonly counts: readonly number[];
  readonly sumSeconds: number;
}

export interface Counts {
  readonly connections: Readonly<Partial<Record<Listener, number>>>;
  readonly handshakes: Readonly<Partial<Record<HandshakeResult, number>>>;
  /** By protocol: answers by the first digit of their status; a WebSocket is a 101, a session of tcp 200 or 502. */
  readonly requests: Readonly<Partial<Record<Protocol, NetworkTraffic['statuses']>>>;
  /** From the whole head of a request to the last byte of its answer. */
  readonly requestTiming: Timing;
  /** From a request's way to the pod to the first byte of the answer. */
  readonly firstByteTiming: Timing;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly upstreamConnections: number;
  /** By code of `gateway/pages`: what went wrong between us and pods. */
  readonly upstreamErrors: Readonly<Record<string, number>>;
  readonly limitsHit: Readonly<Partial<Record<CountedLimit, number>>>;
  readonly cpuSeconds: number;
}

/** What is so at the moment of the report. */
export interface Now {
  readonly connections: number;
  readonly requests: number;
  readonly tunnels: number;
  readonly upstreamBusy: number;
  readonly upstreamIdle: number;
  readonly contexts: number;
  readonly residentBytes: number;
  /** How late timers were since the report before. */
  readonly lag: { readonly p50Seconds: number; readonly maxSeconds: number };
}

/** What to add to a network's traffic. */
export interface NetworkReport extends Omit<NetworkTraffic, 'open'> {
  readonly host: string;
  /** How many more (or fewer) requests, tunnels and sessions are under way than before. */
  readonly opened: number;
}

/** Something that went wrong for clients of `host`. */
export interface RecentError {
  readonly host: string;
  /** An error on the way to the pod, or a bound of ours that was reached. */
  readonly kind: 'upstream' | 'limit';
  /** Of `gateway/pages`, or the name of the bound in `gateway/limits.ts`. */
  readonly code: string;
  readonly message: string;
  readonly atMs: number;
}
