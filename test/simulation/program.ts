import { Life } from './life.ts';
import type { SeededRandom } from './random.ts';
import type { Timeline } from './timeline.ts';

const skewMsMax = 400;

/** A program that is started again whenever it died: one life after the other. */
export class Program<Running> {
  readonly name: string;
  readonly #timeline: Timeline;
  readonly #skewMs: number;
  readonly #begin: (life: Life) => Running;
  readonly #failed: (error: unknown) => void;
  #lives = 0;
  #current: { readonly life: Life; readonly running: Running } | undefined;

  constructor(
    name: string,
    { timeline, random }: { timeline: Timeline; random: SeededRandom },
    begin: (life: Life) => Running,
    failed: (error: unknown) => void,
  ) {
    this.name = name;
    this.#timeline = timeline;
    this.#skewMs = Math.round(random.between(-skewMsMax, skewMsMax));
    this.#begin = begin;
    this.#failed = failed;
  }

  /** What runs now, if anything does. */
  get current(): { readonly life: Life; readonly running: Running } | undefined {
    return this.#current;
  }

  start(): void {
    if (this.#current) return;
    this.#lives += 1;
    const name = `${this.name}/${this.#lives}`;
    this.#timeline.note(`${name} starts`);
    const life = new Life(name, this.#timeline, this.#skewMs, this.#failed);
    this.#current = { life, running: this.#begin(life) };
  }

  /** As SIGKILL. */
  crash(): void {
    const current = this.#current;
    this.#current = undefined;
    if (!current) return;
    this.#timeline.note(`${current.life.name} dies`);
    current.life.kill();
  }
}
