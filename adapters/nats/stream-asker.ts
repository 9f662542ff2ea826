import type { Msg, NatsConnection } from '@nats-io/transport-node';
import type { Clock } from '#contracts/clock.ts';
import { parsed } from './json.ts';
import type { Line } from './line.ts';
import { newInbox, unsubscribed, usable } from './line.ts';
import type { FromAsker, FromServer } from './stream-messages.ts';
import { decodeFromServer, encode, signMs } from './stream-messages.ts';

/** From asking to the first offer: they are made from memory. */
const offerMs = 2_000;
/** Who serves and says nothing for this long is gone or cut off; it answers every second. */
const silentMs = 5_000;
const noResponders = 503;

export interface StreamQuestion {
  readonly line: Line;
  readonly clock: Clock;
  readonly subject: string;
  readonly question: unknown;
  /** Makes the error that says that nobody serves, or serves on. */
  readonly unavailable: (message: string) => Error;
}

/** The values of the first who offers to answer. Ends without an error when `signal` aborts. */
export async function* askForStream(terms: StreamQuestion, signal: AbortSignal): AsyncGenerator {
  if (signal.aborted) return;
  const connection = usable(terms.line);
  if (!connection) throw terms.unavailable('there is no connection to NATS');
  using asked = new AskedStream(connection, terms, signal);
  let parts: Uint8Array[] = [];
  for (let frame = 0; ; frame += 1) {
    const answer = await asked.want(frame);
    if (!answer || answer.head.kind === 'end') return;
    if (answer.head.kind === 'error') {
      const { message, unavailable } = answer.head;
      throw unavailable ? terms.unavailable(message) : new Error(message);
    }
    parts.push(answer.bytes);
    if (!answer.head.last) continue;
    yield parsed(Buffer.concat(parts));
    parts = [];
  }
}

type Answer = {
  readonly head: Extract<FromServer, { frame: number }>;
  readonly bytes: Uint8Array;
};

/** A question and the one who answers it; ends with its disposal. */
class AskedStream implements Disposable {
  readonly #connection: NatsConnection;
  readonly #terms: StreamQuestion;
  readonly #signal: AbortSignal;
  readonly #inbox: string;
  readonly #stop: () => void;
  #server: string | undefined;
  /** Undefined `frame`: it came. */
  #wanted: {
    frame: number | undefined;
    readonly resolvers: PromiseWithResolvers<Answer | undefined>;
  };
  #failure: Error | undefined;
  #heardMs: number;
  #cancelSign: () => void = () => undefined;

  constructor(connection: NatsConnection, terms: StreamQuestion, signal: AbortSignal) {
    const { clock, subject, question } = terms;
    this.#connection = connection;
    this.#inbox = newInbox(terms.line);
    this.#terms = terms;
    this.#signal = signal;
    this.#wanted = { frame: undefined, resolvers: Promise.withResolvers() };
    this.#heardMs = clock.monotonicMs();
    const subscription = connection.subscribe(this.#inbox, {
      callback: (error, message) => {
        if (error) this.#fail(error.message);
        else this.#heard(message);
      },
    });
    const aborted = (): void => this.#wanted.resolvers.resolve(undefined);
    signal.addEventListener('abort', aborted);
    this.#stop = () => {
      signal.removeEventListener('abort', aborted);
      unsubscribed(connection, subscription);
    };
    connection.publish(subject, JSON.stringify(question), { reply: this.#inbox });
    this.#sign();
  }

  /** The frame of that number, or how it all ended; undefined after the signal. */
  async want(frame: number): Promise<Answer | undefined> {
    if (this.#signal.aborted) return undefined;
    if (this.#failure) throw this.#failure;
    const resolvers = Promise.withResolvers<Answer | undefined>();
    this.#wanted = { frame, resolvers };
    this.#ask();
    return resolvers.promise;
  }

  [Symbol.dispose](): void {
    this.#cancelSign();
    this.#send({ kind: 'stop' });
    this.#stop();
  }

  #heard({ data, reply, headers }: Msg): void {
    if (headers?.code === noResponders) {
      this.#fail('nobody serves it');
      return;
    }
    const message = decodeFromServer(data);
    if (!message) return;
    const { head, bytes } = message;
    if (head.kind === 'offer') {
      // Others who offered hear no more of us, and give up.
      if (this.#server !== undefined || !reply) return;
      this.#server = reply;
      this.#ask();
    }
    this.#heardMs = this.#terms.clock.monotonicMs();
    if (!('frame' in head) || head.frame !== this.#wanted.frame) return;
    this.#wanted.frame = undefined;
    this.#wanted.resolvers.resolve({ head, bytes });
  }

  #ask(): void {
    const { frame } = this.#wanted;
    this.#send(frame === undefined ? { kind: 'keep' } : { kind: 'want', frame });
  }

  /** Every second: what is wanted may have got lost, and who serves must know that we are there. */
  #sign(): void {
    const { clock } = this.#terms;
    this.#cancelSign = clock.after(signMs, () => {
      const silent = clock.monotonicMs() - this.#heardMs;
      if (this.#server === undefined && silent >= offerMs) this.#fail('nobody answers');
      else if (silent >= silentMs) this.#fail('who serves it has gone silent');
      else {
        this.#ask();
        this.#sign();
      }
    });
  }

  #fail(reason: string): void {
    this.#failure ??= this.#terms.unavailable(reason);
    this.#wanted.resolvers.reject(this.#failure);
  }

  #send(message: FromAsker): void {
    if (this.#server === undefined || this.#connection.isClosed()) return;
    this.#connection.publish(this.#server, encode(message));
  }
}
