import type { Msg, NatsConnection } from '@nats-io/transport-node';
import type { Clock } from '#contracts/clock.ts';
import { BusUnavailable } from '#contracts/route.ts';
import type { Line } from './line.ts';
import { newInbox, unsubscribed, usable } from './line.ts';

/**
 * The messages of the bucket's stream, each asked for by itself: the server keeps nothing for who reads,
 * as it would a consumer, so that who may read can make nothing there. Any replica answers.
 */

/** What the bucket's stream takes: a key below it. */
export const keysPrefix = '$KV.podgate_routes.';
export const streamName = 'KV_podgate_routes';
const getSubject = `$JS.API.DIRECT.GET.${streamName}`;
/** A get that was not answered for so long is asked again. */
const againMs = 1_000;
const readMsMax = 15_000;
// 100,000 messages take 1.4 s; with four times as many at once 1.2 s.
const openMax = 256;

/** A message of the bucket's stream. */
export interface BucketChange {
  readonly key: string;
  readonly revision: number;
  /** Undefined: the key was removed. */
  readonly value: Uint8Array | undefined;
}

/** What the server tells of a message of the stream, or undefined for what is none. */
export function changeOf({ headers, data }: Msg): BucketChange | undefined {
  const revision = Number(headers?.get('Nats-Sequence'));
  const subject = headers?.get('Nats-Subject') ?? '';
  if (!Number.isSafeInteger(revision) || revision < 1 || !subject.startsWith(keysPrefix)) return;
  const value = headers?.get('KV-Operation') ? undefined : data;
  return { key: subject.slice(keysPrefix.length), revision, value };
}

/**
 * Sequence of the newest message, which is always there, because only markers behind the newest `_meta`
 * are ever removed. 0: none was written; undefined: nobody answers, as when there is no bucket yet.
 */
export async function newestOf(line: Line): Promise<number | undefined> {
  const connection = usable(line);
  if (!connection) throw new BusUnavailable('NATS cannot be reached');
  try {
    const newest = JSON.stringify({ last_by_subj: '>' });
    const answer = await connection.request(getSubject, newest, { timeout: againMs });
    return answer.headers?.code === notFound ? 0 : changeOf(answer)?.revision;
  } catch {
    return undefined;
  }
}

interface ReadTerms {
  readonly from: number;
  /** Sequence of a message that was the newest. */
  readonly whole: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

/**
 * The messages with these sequences that are left, the newest of each key, in order. Throws
 * `BusUnavailable` when they cannot be had in time, or the signal aborts.
 */
export async function readBucket(line: Line, terms: ReadTerms): Promise<BucketChange[]> {
  const connection = usable(line);
  if (!connection) throw new BusUnavailable('NATS cannot be reached');
  const { clock, signal } = terms;
  const reading = new Reading(connection, newInbox(line), terms);
  const stop = (): void => reading.end();
  const cancel = clock.after(readMsMax, stop);
  signal?.addEventListener('abort', stop);
  try {
    return await reading.changes();
  } finally {
    cancel();
    signal?.removeEventListener('abort', stop);
    reading.end();
  }
}

/** Sequences that nobody has looked at: from the first to before the second. */
type Span = readonly [number, number];

/**
 * Each get asks for the first message of a span; what is left behind it becomes two spans. So there are
 * never more gets than twice the messages, however wide the gaps between them, and many at once.
 */
class Reading {
  readonly #connection: NatsConnection;
  readonly #inbox: string;
  readonly #clock: Clock;
  readonly #waiting: Span[];
  /** Asked, by the number of the get. */
  readonly #open = new Map<number, Span>();
  readonly #found: BucketChange[] = [];
  readonly #done = Promise.withResolvers<void>();
  #asked = 0;
  #answered = 0;

  constructor(connection: NatsConnection, inbox: string, { from, whole, clock }: ReadTerms) {
    this.#connection = connection;
    this.#inbox = inbox;
    this.#clock = clock;
    this.#waiting = from <= whole ? [[from, whole + 1]] : [];
  }

  async changes(): Promise<BucketChange[]> {
    const subscription = this.#connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (!error) this.#heard(message);
      },
    });
    let cancel: (() => void) | undefined;
    // Lost with a connection, or a replica asked that does not have the message yet.
    const askAgain = (before: number): void => {
      if (this.#answered === before) for (const [get, span] of this.#open) this.#ask(get, span);
      const answered = this.#answered;
      cancel = this.#clock.after(againMs, () => askAgain(answered));
    };
    try {
      this.#askMore();
      askAgain(-1);
      await this.#done.promise;
    } finally {
      cancel?.();
      unsubscribed(this.#connection, subscription);
    }
    return this.#found.toSorted((a, b) => a.revision - b.revision);
  }

  /** Without all that is there it throws. */
  end(): void {
    this.#done.reject(new BusUnavailable('NATS did not tell the whole table in time'));
  }

  #heard(message: Msg): void {
    const get = Number(message.subject.slice(this.#inbox.length + 1));
    const span = this.#open.get(get);
    const change = changeOf(message);
    if (!span || !change) return;
    this.#open.delete(get);
    this.#answered += 1;
    const [, end] = span;
    const next = change.revision + 1;
    if (change.revision < end) {
      this.#found.push(change);
      const middle = Math.floor((next + end) / 2);
      if (middle > next) this.#waiting.push([middle, end], [next, middle]);
      else if (next < end) this.#waiting.push([next, end]);
    }
    this.#askMore();
  }

  #askMore(): void {
    while (this.#open.size < openMax) {
      const span = this.#waiting.pop();
      if (!span) break;
      this.#open.set((this.#asked += 1), span);
      this.#ask(this.#asked, span);
    }
    if (this.#open.size === 0) this.#done.resolve();
  }

  #ask(get: number, [from]: Span): void {
    if (this.#connection.isClosed()) return;
    const first = JSON.stringify({ seq: from, next_by_subj: '>' });
    this.#connection.publish(getSubject, first, { reply: `${this.#inbox}.${get}` });
  }
}

const notFound = 404;
