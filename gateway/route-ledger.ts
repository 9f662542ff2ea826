import type { RouteEvent, TableDigest } from '#contracts/route.ts';
import { entryDigest } from '#contracts/route.ts';

/** `new`: to be applied; `known`: says nothing new; otherwise why the bus must be followed anew. */
export type Judgement = 'new' | 'known' | { readonly anew: string };

/** Of dropped hosts the newest are remembered; a beat finds what an older one would bring back. */
const droppedMax = 10_000;
/** A change may be on its way while the beat about it is there. */
const behindMsMax = 2_000;

const known = 'known';

/**
 * Which revision of each host was heard, and whether something is missing: what the network lost,
 * repeated or brought in another order never makes the table older, and is noticed. Hosts whose value
 * was put aside count as heard.
 */
export class RouteLedger {
  #epoch: string | undefined;
  /** Newest revision up to which nothing is missing. */
  #revision = -1;
  #hash = 0;
  readonly #hosts = new Map<string, number>();
  readonly #dropped = new Map<string, number>();
  #behindSinceMs: number | undefined;

  get epoch(): string | undefined {
    return this.#epoch;
  }

  get revision(): number {
    return this.#revision;
  }

  /** `nowMs` is monotonic. Changes nothing: what is new is `noted` when it is applied. */
  judge(event: RouteEvent, nowMs: number): Judgement {
    if (event.kind === 'snapshot') return 'new';
    if (event.epoch !== this.#epoch) return { anew: 'the bus has another table now' };
    if (event.kind === 'beat') return this.#compare(event, nowMs);
    if (event.previous > this.#revision) return { anew: 'a change was lost' };
    return event.revision > this.#revision ? 'new' : known;
  }

  /** Whether a snapshot's value of this host, or its absence (at the snapshot's revision), is news. */
  isNewer(epoch: string, host: string, revision: number): boolean {
    if (epoch !== this.#epoch) return true;
    const heard = Math.max(this.#hosts.get(host) ?? -1, this.#dropped.get(host) ?? -1);
    return revision > heard;
  }

  /** The revision at which this host was told, if it is in the table. */
  revisionOf(host: string): number | undefined {
    return this.#hosts.get(host);
  }

  hosts(): Iterable<string> {
    return this.#hosts.keys();
  }

  /** A snapshot is about to be noted host by host. */
  begin(epoch: string, revision: number): void {
    if (epoch !== this.#epoch) {
      this.#hosts.clear();
      this.#dropped.clear();
      this.#hash = 0;
      this.#revision = -1;
    }
    this.#epoch = epoch;
    this.advance(revision);
  }

  advance(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
    this.#behindSinceMs = undefined;
  }

  put(host: string, revision: number): void {
    this.#dropped.delete(host);
    this.#forget(host);
    this.#hosts.set(host, revision);
    this.#hash ^= entryDigest(host, revision);
  }

  drop(host: string, revision: number): void {
    this.#forget(host);
    this.#dropped.delete(host);
    this.#dropped.set(host, revision);
    const [oldest] = this.#dropped.keys();
    if (this.#dropped.size > droppedMax && oldest !== undefined) this.#dropped.delete(oldest);
  }

  #forget(host: string): void {
    const before = this.#hosts.get(host);
    if (before === undefined) return;
    this.#hosts.delete(host);
    this.#hash ^= entryDigest(host, before);
  }

  #compare({ revision, count, hash }: TableDigest, nowMs: number): Judgement {
    // The beat of a controller that others have followed, or one that was overtaken.
    if (revision < this.#revision) return known;
    if (revision > this.#revision) {
      this.#behindSinceMs ??= nowMs;
      if (nowMs - this.#behindSinceMs < behindMsMax) return known;
      this.#behindSinceMs = undefined;
      return { anew: 'changes do not arrive' };
    }
    this.#behindSinceMs = undefined;
    const same = count === this.#hosts.size && hash >>> 0 === this.#hash >>> 0;
    return same ? known : { anew: 'the table differs from the controller’s' };
  }
}
