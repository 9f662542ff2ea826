import type { Need } from './assess.ts';
import { FairLine } from './line.ts';

const classes = 5;
const lanes = 2;
/** Within a class those go first that no limit can hold up. */
const laneOf = ({ priority, counted }: Need): number => priority * lanes + (counted ? 1 : 0);

interface Place {
  readonly lane: number;
  readonly owner: string;
}

/**
 * Certificates that wait for their order: by class, within one their owners in turn, of one owner by
 * who came first.
 */
export class Waiting {
  readonly #lanes = Array.from({ length: classes * lanes }, () => new FairLine());
  readonly #heldUntilMs = Array.from({ length: classes * lanes }, () => 0);
  readonly #places = new Map<string, Place>();

  get size(): number {
    return this.#places.size;
  }

  /** Who waits already keeps its place, unless its class is another. */
  put(id: string, need: Need, owner: string): void {
    const lane = laneOf(need);
    if (this.#places.get(id)?.lane === lane) return;
    this.remove(id);
    this.#places.set(id, { lane, owner });
    this.#lanes[lane]?.push(owner, id);
  }

  /** For one that was taken and cannot be served now: it is the next one of its class again. */
  putBack(id: string, need: Need, owner: string): void {
    const lane = laneOf(need);
    this.remove(id);
    this.#places.set(id, { lane, owner });
    this.#lanes[lane]?.unshift(owner, id);
  }

  remove(id: string): void {
    const place = this.#places.get(id);
    if (!place) return;
    this.#places.delete(id);
    this.#lanes[place.lane]?.delete(place.owner, id);
  }

  /** Takes the next one that is not held back. */
  take(nowMs: number): string | undefined {
    for (const [lane, line] of this.#lanes.entries()) {
      if ((this.#heldUntilMs[lane] ?? 0) > nowMs) continue;
      const id = line.shift();
      if (id === undefined) continue;
      this.#places.delete(id);
      return id;
    }
    return undefined;
  }

  /**
   * Nobody of this need, or a lesser one, is served before. What the limits count never holds up what
   * they do not: thousands that got another host would keep renewals from their turn.
   */
  hold(need: Need, untilMs: number): void {
    const first = laneOf(need);
    for (let lane = first; lane < this.#heldUntilMs.length; lane += need.counted ? lanes : 1) {
      this.#heldUntilMs[lane] = Math.max(this.#heldUntilMs[lane] ?? 0, untilMs);
    }
  }

  /** Everybody in the order of serving, from 1 on. */
  *places(): Iterable<readonly [id: string, place: number]> {
    let place = 0;
    for (const line of this.#lanes) for (const id of line) yield [id, ++place];
  }
}
