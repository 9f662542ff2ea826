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

/** What two have counted, together. */
export function addedTraffic(one: NetworkTraffic, other: NetworkTraffic): NetworkTraffic {
  const [first, second, third, fourth, fifth] = one.statuses;
  return {
    requests: one.requests + other.requests,
    statuses: [
      first + other.statuses[0],
      second + other.statuses[1],
      third + other.statuses[2],
      fourth + other.statuses[3],
      fifth + other.statuses[4],
    ],
    bytesIn: one.bytesIn + other.bytesIn,
    bytesOut: one.bytesOut + other.bytesOut,
    open: one.open + other.open,
    lastActivityMs: later(one.lastActivityMs, other.lastActivityMs),
    latencyCounts: addedCounts(one.latencyCounts, other.latencyCounts),
  };
}

/** Counts in the same buckets, of which one may have fewer. */
export const addedCounts = (
  counts: readonly number[],
  more: readonly number[],
): readonly number[] =>
  (counts.length > more.length ? counts : more).map(
    (_, index) => (counts[index] ?? 0) + (more[index] ?? 0),
  );

const later = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.max(a, b);

export interface PodTraffic {
  /** When counting began; of several gateways, when the first did. */
  readonly sinceMs: number;
  /** By network; one without traffic may be absent. */
  readonly networks: ReadonlyMap<string, NetworkTraffic>;
}

/** What the gateway has counted, asked for by the api. */
export interface TrafficReader {
  /** `key` is a `podKey`. A pod without traffic, or unknown, has no networks. */
  read(key: string): Promise<PodTraffic>;
}

/**
 * Carries such questions between programs, and sums up what several gateways answer. Asking while
 * nobody serves throws `TrafficUnavailable`, as does a gateway that lives and does not answer: less
 * than there was is no answer. Counts of a gateway end with it.
 */
export interface TrafficExchange extends TrafficReader {
  /** Answers from now on; the returned function ends it. */
  serve(reader: TrafficReader): () => void;
}

export class TrafficUnavailable extends Error {
  override readonly name = 'TrafficUnavailable';
}
