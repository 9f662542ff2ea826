import type { RouteEvent } from '#contracts/route.ts';

/** A change of one host, or of none, before it is known what was sent before it. */
export type BusChange =
  | {
      readonly kind: 'put';
      readonly revision: number;
      readonly host: string;
      readonly route: unknown;
    }
  | { readonly kind: 'drop'; readonly revision: number; readonly host: string }
  | { readonly kind: 'mark'; readonly revision: number };

export type Snapshot = Extract<RouteEvent, { kind: 'snapshot' }>;
type Beat = Extract<RouteEvent, { kind: 'beat' }>;

/** Drops of hosts that are gone for good must not pile up; beyond this a snapshot is smaller. */
const pendingDropsMax = 1024;
/** Of all marks only the newest says anything. */
const marks = '';

/**
 * What one follower of routes has not taken yet: the newest change of each host, in order of revision,
 * so that a slow one costs one entry per host. `snapshot` gives the whole table, or nothing while there
 * is none; its size decides when it is the shorter way.
 */
export class PendingEvents {
  readonly #snapshot: () => Snapshot | undefined;
  readonly #pending = new Map<string, BusChange>();
  #beat: Beat | undefined;
  #epoch = '';
  /** It is owed everything there is, instead of what is pending. */
  #snapshotDue = true;
  /** Newest revision that was sent. */
  #sent = 0;
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(snapshot: () => Snapshot | undefined) {
    this.#snapshot = snapshot;
  }

  /** The whole table is another now. */
  oweSnapshot(): void {
    this.#pending.clear();
    this.#beat = undefined;
    this.#snapshotDue = true;
    this.#wake?.();
  }

  /** `tableSize`: how many hosts the table has now. */
  add(change: BusChange, tableSize: number): void {
    if (!this.#snapshotDue) {
      const key = change.kind === 'mark' ? marks : change.host;
      // Deleted first, so that the order of the map is that of the revisions.
      this.#pending.delete(key);
      this.#pending.set(key, change);
      if (this.#pending.size > tableSize + pendingDropsMax) this.oweSnapshot();
    }
    this.#wake?.();
  }

  /** There is a snapshot now, where there was none. */
  wake(): void {
    this.#wake?.();
  }

  /** Only the newest beat counts, and none before the table it is about. */
  beat(beat: Beat): void {
    if (this.#snapshotDue) return;
    this.#beat = beat;
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#pending.clear();
    this.#wake?.();
  }

  /** Until `end` is called. */
  async *events(): AsyncGenerator<RouteEvent> {
    while (!this.#ended) {
      const event = this.#next();
      if (event) {
        yield event;
        continue;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  #next(): RouteEvent | undefined {
    if (this.#snapshotDue) return this.#takeSnapshot();
    const [first] = this.#pending;
    if (first) {
      const [key, change] = first;
      this.#pending.delete(key);
      const previous = this.#sent;
      this.#sent = change.revision;
      return { ...change, previous, epoch: this.#epoch };
    }
    const beat = this.#beat;
    this.#beat = undefined;
    return beat;
  }

  #takeSnapshot(): Snapshot | undefined {
    const snapshot = this.#snapshot();
    if (!snapshot) return undefined;
    this.#snapshotDue = false;
    this.#epoch = snapshot.epoch;
    this.#sent = snapshot.revision;
    return snapshot;
  }
}
