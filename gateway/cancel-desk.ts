import type { Clock } from '#contracts/clock.ts';
import type { Address } from '#contracts/route.ts';
import type { CancelQuestion } from './messages.ts';
import type { CancelOwner } from './tcp/sessions.ts';
import { ownerOf } from './tcp/sessions.ts';

interface Pending {
  readonly owners: CancelOwner[];
  left: number;
  readonly end: () => void;
}

const answersWaitMs = 250; // workers answer from memory; one that hangs must not hold the others up
const pendingMax = 1_000; // about as many clients as cancel at once; later ones find nobody

/**
 * Where the parent finds out which pod has given out a key: it asks everybody, which costs messages
 * when a query is cancelled, and not, as a table of all keys would, for each session there is. `ask`
 * puts the question to all who may know and says how many those are; their answers may come by any
 * way, so other gateways can be asked like workers.
 */
export class CancelDesk {
  readonly #clock: Clock;
  readonly #ask: (question: CancelQuestion) => number;
  readonly #pending = new Map<number, Pending>();
  #questions = 0;

  constructor(clock: Clock, ask: (question: CancelQuestion) => number) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /** Calls back once, soon: with the one pod to tell, or with nothing. */
  find(key: string, from: string, done: (owner: Address | undefined) => void): void {
    if (this.#pending.size >= pendingMax) {
      done(undefined);
      return;
    }
    const question = (this.#questions += 1);
    const owners: CancelOwner[] = [];
    const cancel = this.#clock.after(answersWaitMs, () => this.#settle(question));
    const end = (): void => {
      cancel();
      done(ownerOf(owners));
    };
    const pending = { owners, left: 0, end };
    this.#pending.set(question, pending);
    pending.left = this.#ask({ question, key, from });
    if (pending.left === 0) this.#settle(question);
  }

  answer(question: number, owners: readonly CancelOwner[]): void {
    const pending = this.#pending.get(question);
    if (!pending) return;
    pending.owners.push(...owners);
    pending.left -= 1;
    if (pending.left === 0) this.#settle(question);
  }

  #settle(question: number): void {
    const pending = this.#pending.get(question);
    this.#pending.delete(question);
    pending?.end();
  }
}
