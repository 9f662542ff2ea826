import type { Statuses } from './buckets.ts';
import { classOf, noStatuses, Stopwatch } from './buckets.ts';
import type { NetworkReport } from './report.ts';

/** What is counted for one route until the next report. */
export class NetworkMeter {
  readonly host: string;
  readonly #touched: (meter: NetworkMeter) => void;
  /** It is among those that the next report takes. */
  #listed = false;
  #requests = 0;
  #statuses: Statuses = noStatuses();
  #bytesIn = 0;
  #bytesOut = 0;
  #opened = 0;
  #latency: Stopwatch | undefined;

  /** `touched` is called with the first thing that is counted after a report. */
  constructor(host: string, touched: (meter: NetworkMeter) => void) {
    this.host = host;
    this.#touched = touched;
  }

  /** A request, tunnel or session begins. */
  opened(): void {
    this.#touch();
    this.#opened += 1;
  }

  closed(): void {
    this.#touch();
    this.#opened -= 1;
  }

  /** A session that has no status. */
  joined(): void {
    this.#touch();
    this.#requests += 1;
  }

  answered(status: number): void {
    this.#touch();
    this.#requests += 1;
    this.#statuses[classOf(status)] += 1;
  }

  firstByteTook(ms: number): void {
    this.#touch();
    (this.#latency ??= new Stopwatch()).add(ms);
  }

  received(bytes: number): void {
    this.#touch();
    this.#bytesIn += bytes;
  }

  sent(bytes: number): void {
    this.#touch();
    this.#bytesOut += bytes;
  }

  /** Everything since the last time; what moved bytes since then was active until now. */
  take(nowMs: number): NetworkReport {
    const report = {
      host: this.host,
      requests: this.#requests,
      statuses: this.#statuses,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      opened: this.#opened,
      lastActivityMs: this.#bytesIn + this.#bytesOut > 0 ? nowMs : null,
      latencyCounts: this.#latency?.timing.counts ?? [],
    };
    this.#listed = false;
    this.#requests = 0;
    this.#statuses = noStatuses();
    this.#bytesIn = 0;
    this.#bytesOut = 0;
    this.#opened = 0;
    this.#latency = undefined;
    return report;
  }

  #touch(): void {
    if (this.#listed) return;
    this.#listed = true;
    this.#touched(this);
  }
}
