import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import type { Clock } from '#contracts/clock.ts';
import { parsed } from './json.ts';
import type { Line } from './line.ts';
import { isInbox, newInbox, onceConnected, unsubscribed } from './line.ts';
import type { FromServer } from './stream-messages.ts';
import { decodeFromAsker, encode, framesOf } from './stream-messages.ts';

/** Who asked and says nothing for this long is gone; it says something every second. */
const silentMs = 10_000;
/** As many followers as a few apis have; beyond, others may offer. */
const streamsMax = 1_000;

export interface StreamServing {
  readonly line: Line;
  readonly clock: Clock;
  readonly subject: string;
  /** The values that answer a question; throws what reaches the one who asked. */
  readonly open: (question: unknown, signal: AbortSignal) => AsyncIterable<unknown>;
  /** Errors that mean that somebody else may be able to answer. */
  readonly unavailable: (error: unknown) => boolean;
}

/** Answers questions with streams of values. The returned function ends it; streams end by themselves. */
export function serveStreams(serving: StreamServing): () => void {
  let open = 0;
  return onceConnected(serving.line, (connection) => {
    const subscription = connection.subscribe(serving.subject, {
      callback: (error, { data, reply }) => {
        if (error || !reply || !isInbox(reply) || open >= streamsMax) return;
        open += 1;
        const ended = (): void => void (open -= 1);
        new ServedStream({ ...serving, connection, reply, ended }).offer(parsed(data));
      },
    });
    return () => unsubscribed(connection, subscription);
  });
}

interface StreamTerms extends StreamServing {
  readonly connection: NatsConnection;
  /** Where the one who asked listens. */
  readonly reply: string;
  /** Called once. */
  ended(this: void): void;
}

/** One who asked, from the offer to its end. */
class ServedStream {
  readonly #serving: StreamTerms;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #ending = new AbortController();
  #values: AsyncIterator<unknown> | undefined;
  /** Of the value that is being sent. */
  #frames: Uint8Array[] = [];
  /** The last answer and its number, to be sent again. */
  #sent: { readonly frame: number; readonly answer: Uint8Array } | undefined;
  #reading = false;
  #cancelEnd: () => void = () => undefined;

  constructor(serving: StreamTerms) {
    this.#serving = serving;
    this.#inbox = newInbox(serving.line);
    this.#subscription = serving.connection.subscribe(this.#inbox, {
      callback: (error, { data }) => {
        if (!error) this.#heard(data);
      },
    });
    this.#patience();
  }

  offer(question: unknown): void {
    // A generator does nothing before its first value is wanted.
    this.#values = this.#serving.open(question, this.#ending.signal)[Symbol.asyncIterator]();
    this.#send(encode({ kind: 'offer' }), this.#inbox);
  }

  #heard(data: Uint8Array): void {
    const message = decodeFromAsker(data);
    if (!message) return;
    if (message.kind === 'stop') {
      this.#end();
      return;
    }
    this.#patience();
    const next = (this.#sent?.frame ?? -1) + 1;
    if (message.kind === 'want' && message.frame === next && !this.#reading) void this.#next(next);
    else if (message.kind === 'want' && message.frame === next - 1 && this.#sent)
      this.#send(this.#sent.answer);
    else this.#send(encode({ kind: 'alive' }));
  }

  async #next(frame: number): Promise<void> {
    this.#reading = true;
    const { head, bytes } = await this.#answer(frame);
    this.#reading = false;
    const answer = encode(head, bytes);
    this.#sent = { frame, answer };
    this.#send(answer);
  }

  async #answer(frame: number): Promise<{ head: FromServer; bytes?: Uint8Array | undefined }> {
    try {
      if (this.#frames.length === 0) {
        const next = await this.#values?.next();
        if (!next || next.done) return { head: { kind: 'end', frame } };
        this.#frames = framesOf(next.value);
      }
      const bytes = this.#frames.shift();
      return { head: { kind: 'frame', frame, last: this.#frames.length === 0 }, bytes };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const unavailable = this.#serving.unavailable(error);
      return { head: { kind: 'error', frame, message, unavailable } };
    }
  }

  #send(answer: Uint8Array, reply?: string): void {
    const { connection, reply: asker } = this.#serving;
    if (this.#ending.signal.aborted || connection.isClosed()) return;
    connection.publish(asker, answer, reply === undefined ? {} : { reply });
  }

  #patience(): void {
    this.#cancelEnd();
    if (this.#ending.signal.aborted) return;
    this.#cancelEnd = this.#serving.clock.after(silentMs, () => this.#end());
  }

  #end(): void {
    if (this.#ending.signal.aborted) return;
    this.#cancelEnd();
    this.#ending.abort();
    unsubscribed(this.#serving.connection, this.#subscription);
    this.#values?.return?.().catch(() => undefined);
    this.#serving.ended();
  }
}
