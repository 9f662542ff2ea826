/** What a load generator says of one round. */
export interface Load {
  /** Requests, handshakes, messages or GiB that came through. */
  readonly units: number;
  readonly seconds: number;
  readonly p99Ms: number | undefined;
  /** Anything but what was asked for: a round with errors is no measurement. */
  readonly errors: number;
}
