import { latencyBoundsSeconds } from '#contracts/traffic.ts';
import type { Timing } from './report.ts';

/** Answers by the first digit of their status, from 1 to 5. */
export type Statuses = [number, number, number, number, number];

export const noStatuses = (): Statuses => [0, 0, 0, 0, 0];

/** Where in `Statuses` an answer counts. Who leaves without one (0) counts among the 4xx, as usual. */
export const classOf = (status: number): 0 | 1 | 2 | 3 | 4 => {
  if (status < 100) return 3;
  if (status < 200) return 0;
  if (status < 300) return 1;
  if (status < 400) return 2;
  return status < 500 ? 3 : 4;
};

const boundsMs = latencyBoundsSeconds.map((seconds) => seconds * 1000);

/** In which bucket of `latencyBoundsSeconds` a time lies. Most lie in the first few. */
function bucketOf(ms: number): number {
  let index = 0;
  while (index < boundsMs.length && ms > (boundsMs[index] ?? 0)) index += 1;
  return index;
}

/** A distribution of times that is added to. */
export class Stopwatch {
  readonly #counts = Array.from({ length: boundsMs.length + 1 }, () => 0);
  #sumMs = 0;

  add(ms: number): void {
    const index = bucketOf(ms);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sumMs += ms;
  }

  get timing(): Timing {
    return { counts: this.#counts, sumSeconds: this.#sumMs / 1000 };
  }
}
