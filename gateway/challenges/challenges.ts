import type { Clock } from '#contracts/clock.ts';
import type { Limits } from '../limits.ts';
import type { Answer, ChallengeLookup } from './table.ts';
import { ChallengeTable } from './table.ts';

type Done = (keyAuthorization: string | undefined) => void;

interface Waiting {
  readonly callbacks: Done[];
  readonly cancel: () => void;
}

/**
 * The challenges that a worker answers, from memory. The authority may be faster than the news of
 * its challenge: one that is not known is asked for once, and waited for `challengeWaitMs`.
 */
export class Challenges implements ChallengeLookup {
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #table: ChallengeTable;
  readonly #ask: (id: string) => void;
  readonly #waiting = new Map<string, Waiting>();

  constructor(
    ports: { readonly clock: Clock; readonly limits: Limits },
    ask: (id: string) => void,
  ) {
    this.#clock = ports.clock;
    this.#limits = ports.limits;
    this.#table = new ChallengeTable(ports);
    this.#ask = ask;
  }

  find(id: string): string | undefined {
    return this.#table.find(id);
  }

  /** The parent's news; undefined: there is none, or none any more. */
  told(id: string, answer: Answer | undefined): void {
    this.#table.set(id, answer);
    this.#settle(id);
  }

  /** Calls back at once or within `challengeWaitMs`. Beyond `challengesAskedMax` nobody is asked. */
  get(id: string, done: Done): void {
    const known = this.find(id);
    const waiting = this.#waiting.get(id);
    if (known !== undefined) done(known);
    else if (waiting) waiting.callbacks.push(done);
    else if (this.#waiting.size >= this.#limits.challengesAskedMax) done(undefined);
    else {
      const cancel = this.#clock.after(this.#limits.challengeWaitMs, () => this.#settle(id));
      this.#waiting.set(id, { callbacks: [done], cancel });
      this.#ask(id);
    }
  }

  #settle(id: string): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    waiting.cancel();
    for (const done of waiting.callbacks) done(this.find(id));
  }
}
