import type { Clock } from '#contracts/clock.ts';
import { sleepBy } from '#contracts/clock.ts';
import type { Timeline } from './timeline.ts';

const startMs = Date.UTC(2026, 0, 1);

/**
 * One life of a simulated program, from its start to its crash. Whatever comes into it (timers,
 * answers, messages) passes `enter`: a paused program (SIGSTOP) takes it in when it goes on, a dead one
 * never. All its code waits for is such an entry, so a crash stops it where it stands.
 */
export class Life {
  readonly name: string;
  readonly clock: Clock;
  readonly #timeline: Timeline;
  readonly #onCrash: (error: unknown) => void;
  readonly #ends: (() => void)[] = [];
  #state: 'running' | 'paused' | 'dead' = 'running';
  #held: (() => void)[] = [];

  /** `skewMs`: how much the wall clock of its machine is wrong. `failed`: it threw where nobody caught it. */
  constructor(name: string, timeline: Timeline, skewMs: number, failed: (error: unknown) => void) {
    this.name = name;
    this.#timeline = timeline;
    this.#onCrash = failed;
    this.clock = new LifeClock(this, timeline, skewMs);
  }

  get isDead(): boolean {
    return this.#state === 'dead';
  }

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  enter(run: () => void): void {
    if (this.#state === 'paused') this.#held.push(run);
    if (this.#state !== 'running') return;
    try {
      run();
    } catch (error) {
      this.#onCrash(error);
    }
  }

  /** As SIGSTOP. */
  pause(): void {
    if (this.#state === 'running') this.#state = 'paused';
  }

  /** As SIGCONT: what came meanwhile is taken in one after the other. */
  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'running';
    for (const run of this.#held.splice(0)) this.#timeline.after(0, () => this.enter(run));
  }

  /** As SIGKILL. */
  kill(): void {
    if (this.#state === 'dead') return;
    this.#state = 'dead';
    this.#held = [];
    for (const end of this.#ends.splice(0)) end();
  }

  /** Calls `end`, on the other side of the network, when it dies. */
  onEnd(end: () => void): void {
    this.#ends.push(end);
  }
}

/** Timers of one life; wall-clock time in whole milliseconds, as `Date.now` has it. */
class LifeClock implements Clock {
  readonly #life: Life;
  readonly #timeline: Timeline;
  readonly #skewMs: number;

  constructor(life: Life, timeline: Timeline, skewMs: number) {
    this.#life = life;
    this.#timeline = timeline;
    this.#skewMs = skewMs;
  }

  nowMs(): number {
    return Math.floor(startMs + this.#skewMs + this.#timeline.elapsedMs);
  }

  monotonicMs(): number {
    return this.#timeline.elapsedMs;
  }

  after(delayMs: number, run: () => void): () => void {
    let wanted = true;
    const cancel = this.#timeline.after(delayMs, () =>
      this.#life.enter(() => {
        if (wanted) run();
      }),
    );
    return () => {
      wanted = false;
      cancel();
    };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepBy((ms, run) => this.after(ms, run), delayMs, signal);
  }
}
