import type { CancelExchange, CancelOwner } from '#contracts/cancels.ts';
import type { Clock } from '#contracts/clock.ts';
import type { Address } from '#contracts/route.ts';
import type { CancelQuestion } from './messages.ts';
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
 * when a query is cancelled, and not, as a table of all keys would, for each session there is.
 */
export class CancelDesk {
  readonly #clock: Clock;
  readonly #ask: (question: CancelQuestion) => number;
  readonly #others: CancelExchange | undefined;
  readonly #pending = new Map<number, Pending>();
  #questions = 0;

  /** `ask` puts a question to all workers and says how many those are; `others`: other gateways. */
  constructor(clock: Clock, ask: (question: CancelQuestion) => number, others?: CancelExchange) {
    this.#clock = clock;
    this.#ask = ask;
    this.#others = others;
  }

  /** The one pod to tell, at whichever gateway its session is, or nobody; soon. */
  async find(key: string, from: string): Promise<Address | undefined> {
    const others = this.#others?.ask(key, from) ?? Promise.resolve([]);
    return ownerOf((await Promise.all([this.owners(key, from), others])).flat());
  }

  /** What the workers of this gateway know of a key. */
  async owners(key: string, from: string): Promise<readonly CancelOwner[]> {
    if (this.#pending.size >= pendingMax) return [];
    const question = (this.#questions += 1);
    const owners: CancelOwner[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const pending: Pending = { owners, left: 0, end: resolve };
    this.#pending.set(question, pending);
    const cancel = this.#clock.after(answersWaitMs, resolve);
    pending.left = this.#ask({ question, key, from });
    if (pending.left > 0) await promise;
    cancel();
    this.#pending.delete(question);
    return owners;
  }

  /** A worker's answer; late ones are of no use. */
  answer(question: number, owners: readonly CancelOwner[]): void {
    const pending = this.#pending.get(question);
    if (!pending) return;
    pending.owners.push(...owners);
    pending.left -= 1;
    if (pending.left > 0) return;
    this.#pending.delete(question);
    pending.end();
  }
}
