import type { Clock } from '#contracts/clock.ts';

/** Something that is ended when its time is up. `deadlineMs` is on the monotonic clock. */
export interface Mortal {
  deadlineMs: number;
  expire(): void;
}

const tickMs = 500;

/**
 * One timer for all deadlines of a worker: setting a deadline is writing a number, which costs
 * nothing on the request path. They are met within half a second.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #members = new Set<Mortal>();
  #cancel: (() => void) | undefined;
  /** The monotonic time of the last tick: exact enough for deadlines, and free to read. */
  nowMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.nowMs = clock.monotonicMs();
    this.#arm();
  }

  add(member: Mortal): void {
    this.#members.add(member);
  }

  /** Whether it was one of them. */
  delete(member: Mortal): boolean {
    return this.#members.delete(member);
  }

  stop(): void {
    this.#cancel?.();
  }

  #arm(): void {
    this.#cancel = this.#clock.after(tickMs, () => {
      this.nowMs = this.#clock.monotonicMs();
      for (const member of this.#members) {
        if (member.deadlineMs <= this.nowMs) member.expire();
      }
      this.#arm();
    });
  }
}
