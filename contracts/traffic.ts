/** How long requests took, in buckets: upper bounds in seconds, inclusive; one more has no bound. */
export const latencyBoundsSeconds = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const;

/**
 * What went through the gateway for one network of a pod, counted since the gateway started. A request
 * is one of HTTP, or a session of TCP and Postgres; bytes are what clients sent and got, without TLS.
 */
export interface NetworkTraffic {
  readonly requests: number;
  /** Of HTTP: answers by the first digit of their status, `1xx` to `5xx`. */
  readonly statuses: readonly [number, number, number, number, number];
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Requests, tunnels and sessions under way now. */
  readonly open: number;
  /** When bytes last went through, in either direction; null: never. */
  readonly lastActivityMs: number | null;
  /** Of HTTP, from the whole head of the request to the first byte of the answer. */
  readonly latencyCounts: readonly number[];
}

/** A network that nobody has used. */
export const noTraffic: NetworkTraffic = {
  requests: 0,
  statuses: [0, 0, 0, 0, 0],
  bytesIn: 0,
  bytesOut: 0,
  open: 0,
  lastActivityMs: null,
  latencyCounts: [],
};

export interface PodTraffic {
  /** When counting began. */
  readonly sinceMs: number;
  /** By network; one without traffic may be absent. */
  readonly networks: ReadonlyMap<string, NetworkTraffic>;
}

/** What the gateway has counted, asked for by the api. */
export interface TrafficReader {
  /** `key` is a `podKey`. A pod without traffic, or unknown, has no networks. */
  read(key: string): Promise<PodTraffic>;
}

/** Carries such questions between programs. Asking while nobody serves throws `TrafficUnavailable`. */
export interface TrafficExchange extends TrafficReader {
  /** Answers from now on; the returned function ends it. */
  serve(reader: TrafficReader): () => void;
}

export class TrafficUnavailable extends Error {
  override readonly name = 'TrafficUnavailable';
}
