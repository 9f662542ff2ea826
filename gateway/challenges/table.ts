import type { Clock } from '#contracts/clock.ts';
import type { Limits } from '../limits.ts';

/** A challenge as it is answered. */
export interface Answer {
  readonly keyAuthorization: string;
  readonly expiresAtMs: number;
}

/** Which challenges wait for their certificate authority, by the ids of the store. */
export interface ChallengeLookup {
  /** The key authorization; undefined: none is known, or it is over. */
  find(id: string): string | undefined;
}

/** Beyond `challengesMax` the oldest is forgotten: it is asked for again when it is needed. */
export class ChallengeTable implements ChallengeLookup {
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #answers = new Map<string, Answer>();

  constructor({ clock, limits }: { readonly clock: Clock; readonly limits: Limits }) {
    this.#clock = clock;
    this.#limits = limits;
  }

  find(id: string): string | undefined {
    const answer = this.#answers.get(id);
    return answer && answer.expiresAtMs > this.#clock.nowMs() ? answer.keyAuthorization : undefined;
  }

  /** Undefined: there is none any more. */
  set(id: string, answer: Answer | undefined): void {
    this.#answers.delete(id);
    if (answer) this.#answers.set(id, answer);
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > this.#limits.challengesMax && oldest !== undefined) {
      this.#answers.delete(oldest);
    }
  }

  entries(): IterableIterator<[string, Answer]> {
    return this.#answers.entries();
  }
}
