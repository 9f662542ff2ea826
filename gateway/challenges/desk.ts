import type { Challenge } from '#contracts/challenge.ts';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { Collection } from '#contracts/store.ts';
import { limits } from '../limits.ts';
import type { ToWorker } from '../messages.ts';
import { ChallengeTable } from './table.ts';

export type ChallengeMessage = Extract<ToWorker, { kind: 'challenge' }>;

export interface ChallengeDeskPorts {
  readonly challenges: Pick<Collection<Challenge>, 'get' | 'list' | 'watch'>;
  readonly clock: Clock;
  readonly log: Log;
  /** To all workers. */
  tell(message: ChallengeMessage): void;
}

/**
 * The parent's side of challenges: tells the workers of each as it comes and goes, and looks into the
 * store for one that a worker was asked for too early. Anybody can ask for names that do not exist:
 * the store is read `challengeReadsPerSecondMax` times, and once for all who ask for the same.
 */
export class ChallengeDesk {
  readonly table: ChallengeTable;
  readonly #ports: ChallengeDeskPorts;
  readonly #reading = new Map<string, Promise<void>>();
  #second = 0;
  #reads = 0;

  constructor(ports: ChallengeDeskPorts) {
    this.#ports = ports;
    this.table = new ChallengeTable({ clock: ports.clock, limits });
  }

  /** Reads all, then every change, until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    const { challenges, log } = this.#ports;
    const changes = challenges.watch(signal);
    const { documents, broken } = await challenges.list();
    const there = new Set(documents.map(({ id }) => id));
    const gone = [...this.table.entries()].filter(([id]) => !there.has(id));
    for (const [id] of gone) this.#set(id, undefined);
    for (const { id, value } of documents) this.#set(id, value);
    for (const bad of broken) log.error(bad, 'challenge not loaded');
    for await (const { id } of changes) await this.#look(id);
  }

  /** What a new worker is told. */
  *greeting(): Generator<ChallengeMessage> {
    for (const [id, answer] of this.table.entries()) yield { kind: 'challenge', id, answer };
  }

  /** A worker was asked for it and knows nothing: it is told what the store says, or that nobody knows. */
  async wanted(id: string, answer: (message: ChallengeMessage) => void): Promise<void> {
    const reading = this.#reading.get(id);
    if (reading) await reading;
    else if (this.table.find(id) === undefined && this.#mayRead()) {
      const read = this.#look(id);
      this.#reading.set(id, read);
      await read;
      this.#reading.delete(id);
    }
    // One that was found has been told to all of them, this one included.
    if (this.table.find(id) === undefined) answer({ kind: 'challenge', id, answer: undefined });
  }

  async #look(id: string): Promise<void> {
    try {
      const stored = await this.#ports.challenges.get(id);
      this.#set(id, stored?.value);
    } catch (error) {
      this.#ports.log.error({ challenge: id, error: String(error) }, 'challenge not loaded');
    }
  }

  #set(id: string, challenge: Challenge | undefined): void {
    const known = this.table.find(id) !== undefined;
    const answer = challenge && {
      keyAuthorization: challenge.keyAuthorization,
      expiresAtMs: challenge.expiresAtMs,
    };
    this.table.set(id, answer);
    if (known || answer) this.#ports.tell({ kind: 'challenge', id, answer });
  }

  #mayRead(): boolean {
    const second = Math.floor(this.#ports.clock.monotonicMs() / 1000);
    if (second !== this.#second) this.#reads = 0;
    this.#second = second;
    this.#reads += 1;
    return this.#reads <= limits.challengeReadsPerSecondMax;
  }
}
