import type { Clock } from '#contracts/clock.ts';
import type { Random } from '#contracts/random.ts';

const firstBackoffMs = 100;
const backoffMsMax = 60_000;
// Longer timers are cut: the work looks at the time again anyway.
const delayMsMax = 3_600_000;

/** What there is to do with a name: something ends, or something begins. */
export type Act = 'end' | 'launch';

/** What may be done with a name now. */
export type Turn = 'look' | Act;

export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Of each kind so many turns are given at once. */
  readonly concurrency: Readonly<Record<Turn, number>>;
  /**
   * Works on one name; returns after how long to do so again, if at all. A throw means backoff. A look
   * is short: it returns the act that is due, if one is, and has a turn for that later. So does a turn
   * to end when a launch is due; a turn to launch is for whatever comes.
   */
  work(this: void, name: string, turn: Turn): Promise<number | Act | undefined>;
  failed(this: void, name: string, error: unknown): void;
}

interface Waiting {
  failures: number;
  /** Asked for again while it was being worked on. */
  dirty: boolean;
  cancelTimer: (() => void) | undefined;
}

/**
 * Names to work on: each waits at most once, is worked on by one at a time, and comes again after
 * a failure with growing delays, or when its work asks for it. What happened goes before what is looked at
 * just in case, which may be 100,000 names at once. Each kind of turn has slots of its own, because acts may
 * wait for long, for a program that does not end or for an API server's limit of requests: nobody's look waits
 * for an act, and nobody's end for others' launches. What was ended to be launched again is launched first.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #ready = new Set<string>();
  /** Those that nobody waits for. */
  readonly #idle = new Set<string>();
  /** Those that were looked at, and with which there is something to do; they may be looked at again. */
  readonly #due = {
    end: new Set<string>(),
    relaunch: new Set<string>(),
    launch: new Set<string>(),
  };
  readonly #free: Record<Turn, number>;
  readonly #working = new Map<string, Promise<void>>();
  readonly #names = new Map<string, Waiting>();
  #started = false;
  #stopped = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#free = { ...options.concurrency };
  }

  /** Works from now on; names that were added before have waited for it. */
  start(): void {
    this.#started = true;
    this.#next();
  }

  /** Asks for a look at `name`, now: an event does not wait for a backoff. */
  add(name: string): void {
    this.#idle.delete(name);
    this.#enter(name, this.#ready);
  }

  /** The same, but not before anything that was added. */
  addIdle(name: string): void {
    if (!this.#ready.has(name)) this.#enter(name, this.#idle);
  }

  #enter(name: string, names: Set<string>): void {
    if (this.#stopped) return;
    const waiting = this.#names.get(name) ?? { failures: 0, dirty: false, cancelTimer: undefined };
    this.#names.set(name, waiting);
    waiting.cancelTimer?.();
    waiting.cancelTimer = undefined;
    if (this.#working.has(name)) waiting.dirty = true;
    else names.add(name);
    this.#next();
  }

  /** Starts nothing more; resolves when what is under way is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const names of [this.#ready, this.#idle, ...Object.values(this.#due)]) names.clear();
    for (const { cancelTimer } of this.#names.values()) cancelTimer?.();
    await Promise.all(this.#working.values());
  }

  #next(): void {
    if (!this.#started) return;
    for (const names of [this.#ready, this.#idle]) this.#give('look', names);
    const { end, relaunch, launch } = this.#due;
    this.#give('end', end);
    for (const names of [relaunch, launch]) this.#give('launch', names);
  }

  #give(turn: Turn, names: ReadonlySet<string>): void {
    for (const name of names) {
      if (this.#free[turn] <= 0) return;
      if (this.#working.has(name)) continue;
      this.#ready.delete(name);
      this.#idle.delete(name);
      this.#free[turn] -= 1;
      this.#working.set(name, this.#work(name, turn));
    }
  }

  async #work(name: string, turn: Turn): Promise<void> {
    const waiting = this.#names.get(name) ?? { failures: 0, dirty: false, cancelTimer: undefined };
    let again: number | Act | undefined;
    try {
      again = await this.#options.work(name, turn);
      // That there is something to do says nothing of whether it succeeds.
      if (typeof again !== 'string') waiting.failures = 0;
    } catch (error) {
      again = this.#backoffMs(waiting.failures);
      waiting.failures += 1;
      this.#options.failed(name, error);
    }
    this.#working.delete(name);
    this.#free[turn] += 1;
    if (this.#stopped) return;
    this.#setDue(name, typeof again === 'string' ? again : undefined, turn);
    if (waiting.dirty) this.#ready.add(name);
    else if (typeof again === 'number') this.#later(name, waiting, again);
    else if (again === undefined) this.#names.delete(name);
    waiting.dirty = false;
    this.#next();
  }

  #setDue(name: string, act: Act | undefined, after: Turn): void {
    const goesOn = act === 'launch' && (after === 'end' || this.#due.relaunch.has(name));
    const line = goesOn ? 'relaunch' : act;
    for (const [each, names] of Object.entries(this.#due)) {
      if (each === line) names.add(name);
      else names.delete(name);
    }
  }

  #later(name: string, waiting: Waiting, delayMs: number): void {
    const bounded = Math.max(0, Math.min(delayMs, delayMsMax));
    waiting.cancelTimer = this.#options.clock.after(bounded, () => this.add(name));
  }

  /** Half of it by chance, so that what failed together does not come back together. */
  #backoffMs(failures: number): number {
    const fullMs = Math.min(backoffMsMax, firstBackoffMs * 2 ** failures);
    return fullMs / 2 + (fullMs / 2) * this.#options.random.fraction();
  }
}
