import { addedCounts } from '#contracts/traffic.ts';
import type { Counts, Now, Report, Timing } from '../observe/report.ts';

/** A worker process; its number is that of its slot, which others had before it. */
export interface WorkerId {
  readonly number: number;
  readonly pid: number;
}

export interface Living extends WorkerId {
  readonly now: Now;
}

type Sums = Readonly<Record<string, number>>;

/** The sums of all counts that workers have reported; those of workers that are gone stay in them. */
export class Totals {
  connections: Sums = {};
  handshakes: Sums = {};
  requests: Readonly<Record<string, readonly number[]>> = {};
  requestTiming: Timing = { counts: [], sumSeconds: 0 };
  firstByteTiming: Timing = { counts: [], sumSeconds: 0 };
  bytesIn = 0;
  bytesOut = 0;
  upstreamConnections = 0;
  upstreamErrors: Sums = {};
  limitsHit: Sums = {};
  /** By the number of the worker. */
  cpuSeconds: Sums = {};
  readonly #living = new Map<number, Living>();

  /** The workers that report, with what each said last. */
  get living(): readonly Living[] {
    return [...this.#living.values()];
  }

  fold({ number, pid }: WorkerId, { counts, now }: Report): void {
    this.#living.set(pid, { number, pid, now });
    this.connections = added(this.connections, counts.connections);
    this.handshakes = added(this.handshakes, counts.handshakes);
    this.requests = addedLists(this.requests, counts.requests);
    this.requestTiming = addedTiming(this.requestTiming, counts.requestTiming);
    this.firstByteTiming = addedTiming(this.firstByteTiming, counts.firstByteTiming);
    this.bytesIn += counts.bytesIn;
    this.bytesOut += counts.bytesOut;
    this.upstreamConnections += counts.upstreamConnections;
    this.upstreamErrors = added(this.upstreamErrors, counts.upstreamErrors);
    this.limitsHit = added(this.limitsHit, counts.limitsHit);
    this.cpuSeconds = added(this.cpuSeconds, { [number]: counts.cpuSeconds });
  }

  /** A worker ended: what was so at it is so no more. */
  gone({ pid }: WorkerId): void {
    this.#living.delete(pid);
  }
}

function added(sums: Sums, more: Readonly<Partial<Record<string, number>>>): Sums {
  const result: Record<string, number> = { ...sums };
  for (const [name, count = 0] of Object.entries(more)) result[name] = (sums[name] ?? 0) + count;
  return result;
}

function addedLists(
  sums: Readonly<Record<string, readonly number[]>>,
  more: Counts['requests'],
): Readonly<Record<string, readonly number[]>> {
  const result: Record<string, readonly number[]> = { ...sums };
  for (const [name, counts] of Object.entries(more)) {
    result[name] = addedCounts(sums[name] ?? [], counts);
  }
  return result;
}

/** Sums place by place; the longer list decides how many there are. */
const addedTiming = (sum: Timing, more: Timing): Timing => ({
  counts: addedCounts(sum.counts, more.counts),
  sumSeconds: sum.sumSeconds + more.sumSeconds,
});
