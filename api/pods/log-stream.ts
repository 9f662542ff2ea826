import { Readable } from 'node:stream';
import type { Clock } from '#contracts/clock.ts';
import type { LogPiece } from '#contracts/logs.ts';
import { LogsUnavailable } from '#contracts/logs.ts';
import { Refused } from '../errors.ts';
import type { ApiPorts } from '../ports.ts';
import type { LogEvents } from './log-events.ts';
import { ending, keepAlive, opening } from './log-events.ts';

/** Each holds a piece of output, some buffers and a connection: about 300 KB when its reader is slow. */
const followersMax = 256;
const followersPerUser = 16;
/** Idle connections live for at least 30 s almost anywhere; also how long a right outlives its end. */
const keepAliveMs = 15_000;
/** A reader that takes nothing for this long is taken for gone. */
const stalledMs = 60_000;
/** For the last bytes of answers when the API closes. */
const closeMs = 1_000;

/** What one follower is shown, and on what terms. */
export interface Following {
  readonly pieces: (signal: AbortSignal) => AsyncIterable<LogPiece>;
  readonly events: LogEvents;
  /** Rejects with `Refused` when it may no longer be shown. */
  readonly check: () => Promise<unknown>;
}

/** Everybody who follows logs here: they are bounded in number, and end with the API. */
export class Followers {
  readonly #ports: Pick<ApiPorts, 'clock' | 'log'>;
  readonly #byUser = new Map<string, number>();
  readonly #closing = new AbortController();
  #count = 0;
  #left: (() => void) | undefined;

  constructor(ports: Pick<ApiPorts, 'clock' | 'log'>) {
    this.#ports = ports;
  }

  /** A place for one more, to be given back once. Throws `Refused`. */
  enter(user: string): () => void {
    const own = this.#byUser.get(user) ?? 0;
    if (own >= followersPerUser)
      throw new Refused(429, `Too many logs followed: ${own} by this user, end one of them.`);
    if (this.#count >= followersMax || this.#closing.signal.aborted)
      throw new Refused(503, 'Too many logs are followed at the moment, try again later.');
    this.#count += 1;
    this.#byUser.set(user, own + 1);
    return () => {
      this.#count -= 1;
      const left = (this.#byUser.get(user) ?? 1) - 1;
      if (left === 0) this.#byUser.delete(user);
      else this.#byUser.set(user, left);
      this.#left?.();
    };
  }

  /** The events as a stream, which ends when `gone` aborts. */
  stream(following: Following, gone: AbortSignal): Readable {
    const signal = AbortSignal.any([gone, this.#closing.signal]);
    const stalled = (): void => void stream.destroy();
    const events = this.#watched(this.#events(following, signal), stalled);
    const stream = Readable.from(events, { objectMode: false, highWaterMark: 16 * 1024 });
    return stream;
  }

  /** Ends all, each after the event it is at. */
  async close(): Promise<void> {
    this.#closing.abort();
    if (this.#count === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#left = (): void => {
      if (this.#count === 0) resolve();
    };
    const cancel = this.#ports.clock.after(closeMs, resolve);
    await promise;
    cancel();
  }

  async *#events(
    { pieces, events, check }: Following,
    signal: AbortSignal,
  ): AsyncGenerator<string> {
    const { clock, log } = this.#ports;
    yield opening;
    const enough = new AbortController();
    const source = pieces(AbortSignal.any([signal, enough.signal]))[Symbol.asyncIterator]();
    let dueMs = clock.monotonicMs() + keepAliveMs;
    let next = awaited(source.next());
    try {
      for (;;) {
        const piece = await within(next, dueMs - clock.monotonicMs(), clock);
        if (piece === 'late') {
          await check();
          dueMs = clock.monotonicMs() + keepAliveMs;
          yield keepAlive;
          continue;
        }
        // Without an `end` when it is us who end: the client comes back to where it was.
        if (signal.aborted) return;
        if (piece.done === true) return yield ending('deleted');
        yield events.encode(piece.value);
        next = awaited(source.next());
      }
    } catch (error) {
      if (error instanceof Refused) yield ending(error.status === 404 ? 'deleted' : 'refused');
      else if (!(error instanceof LogsUnavailable)) log.error({ error }, 'logs cannot be followed');
    } finally {
      enough.abort();
    }
  }

  async *#watched(events: AsyncIterable<string>, stalled: () => void): AsyncGenerator<string> {
    for await (const event of events) {
      const cancel = this.#ports.clock.after(stalledMs, stalled);
      try {
        yield event;
      } finally {
        cancel();
      }
    }
  }
}

/** A promise that may fail while nobody looks at it. */
function awaited<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Its value, or `late` when that takes longer. */
async function within<T>(promise: Promise<T>, delayMs: number, clock: Clock): Promise<T | 'late'> {
  if (delayMs <= 0) return 'late';
  const late = Promise.withResolvers<'late'>();
  const cancel = clock.after(delayMs, () => late.resolve('late'));
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    cancel();
  }
}
