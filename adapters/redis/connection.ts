import type { Clock } from '#contracts/clock.ts';
import { StoreUnavailable, WriteOutcomeUnknown } from '#contracts/store.ts';
import type { Client } from './client.ts';

const pauseMsMin = 20;
const pauseMsMax = 400;

/** The time was up before there was an answer. */
class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
}

/** Calls with a deadline, and honest words about those that fail. */
export class Connection {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #callMs: number;
  #connected = Promise.withResolvers<void>();
  #isConnected = false;
  #trouble = 'no connection was made yet';
  #closed = false;

  /** `callMs`: how long a call may take, all its tries together. */
  constructor(client: Client, clock: Clock, callMs: number) {
    this.#client = client;
    this.#clock = clock;
    this.#callMs = callMs;
    const note = (error: Error & { readonly code?: string }): void => {
      this.#trouble = error.message || (error.code ?? error.name);
    };
    client.on('error', note);
    client.on('node error', note);
    client.on('ready', () => {
      this.#isConnected = true;
      this.#connected.resolve();
    });
    client.on('close', () => {
      // Each try that fails says so as well: those who wait go on waiting for the same.
      if (!this.#isConnected || this.#closed) return;
      this.#isConnected = false;
      this.#connected = Promise.withResolvers();
    });
  }

  /** Calls back when a connection that was there is lost, and when there is one again. */
  onChange(lost: (reason: string) => void, back: () => void): void {
    let away: boolean | undefined;
    this.#client.on('ready', () => {
      if (away) back();
      away = false;
    });
    this.#client.on('close', () => {
      if (away === false && !this.#closed) lost(this.#trouble);
      if (away === false) away = true;
    });
  }

  /** Why nothing can be asked at the moment, in a sentence for operators. */
  problem(): string | undefined {
    if (this.#client.status === 'ready') return undefined;
    return `Redis cannot be reached: ${this.#trouble}`;
  }

  /** Asks again until there is an answer: for what may happen twice. Throws `StoreUnavailable`. */
  repeat<T>(ask: (client: Client) => Promise<T>): Promise<T> {
    return this.#call(ask, (reason) => {
      if (reason) return undefined;
      return new StoreUnavailable('Redis did not answer in time');
    });
  }

  /**
   * Asks again only where the first asking is known to have done nothing. Throws `StoreUnavailable`:
   * it did not happen; `WriteOutcomeUnknown`: nobody can tell.
   */
  once<T>(ask: (client: Client) => Promise<T>): Promise<T> {
    return this.#call(
      ask,
      (reason) => new WriteOutcomeUnknown(`Redis did not answer: ${reason || 'the time was up'}`),
    );
  }

  close(): void {
    this.#closed = true;
    this.#trouble = 'it was closed';
    this.#connected.resolve();
    this.#client.disconnect();
  }

  /** `lost` says what to throw when an asking has no answer; undefined: ask again. */
  async #call<T>(
    ask: (client: Client) => Promise<T>,
    lost: (reason: string) => Error | undefined,
  ): Promise<T> {
    const endMs = this.#clock.monotonicMs() + this.#callMs;
    for (let pauseMs = pauseMsMin; ; pauseMs = Math.min(pauseMs * 2, pauseMsMax)) {
      await this.#ready(endMs);
      try {
        return await this.#within(ask(this.#client), endMs);
      } catch (error) {
        const failure = judge(error);
        const thrown = failure.kind === 'lost' ? lost(failure.reason) : undefined;
        if (thrown) throw thrown;
        const late = this.#clock.monotonicMs() + pauseMs >= endMs;
        if (failure.kind === 'refused' || late || this.#closed) throw unavailable(failure.reason);
      }
      await this.#clock.sleep(pauseMs);
    }
  }

  async #ready(endMs: number): Promise<void> {
    try {
      await this.#within(this.#connected.promise, endMs);
    } catch {
      throw unavailable(this.#trouble);
    }
    if (this.#closed) throw unavailable(this.#trouble);
  }

  #within<T>(answer: Promise<T>, endMs: number): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const leftMs = endMs - this.#clock.monotonicMs();
    const cancel = this.#clock.after(leftMs, () => reject(new NoAnswer()));
    return Promise.race([answer, late]).finally(cancel);
  }
}

const unavailable = (reason: string): StoreUnavailable =>
  new StoreUnavailable(`Redis cannot be used: ${reason}`);

interface Failure {
  /** `passing`: it did nothing and may soon; `refused`: it did nothing; `lost`: who knows. */
  readonly kind: 'passing' | 'refused' | 'lost';
  readonly reason: string;
}

// Refusals that end by themselves: restart, failover, somebody's long script, a slot on its way.
const passing = /^(READONLY|LOADING|BUSY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|MOVED|ASK)\b/;
// ioredis says so before it sends anything.
const unsent = /^(Stream isn't writeable|Cluster isn't ready)/;

function judge(error: unknown): Failure {
  if (!(error instanceof Error) || error instanceof NoAnswer) return { kind: 'lost', reason: '' };
  const reason = error.message;
  if (passing.test(reason) || unsent.test(reason)) return { kind: 'passing', reason };
  // Our scripts write nothing before everything that Redis could refuse was checked.
  return { kind: error.name === 'ReplyError' ? 'refused' : 'lost', reason };
}
