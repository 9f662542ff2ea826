import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { nuid } from '@nats-io/transport-node';
import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import { parsed } from './json.ts';
import type { Line } from './line.ts';
import { isInbox, newAnswersInbox, onceConnected, unsubscribed, usable } from './line.ts';

/** Between two signs of life of one that answers. */
const hereMs = 1_000;
/** One that gave none for this long is gone. */
const goneMs = 3_500;
/** After this everybody who is there has given a sign. */
const settledMs = 1_500;
const noResponders = 503;

const zSign = z.object({ member: z.string(), here: z.boolean() });
const zQuestion = z.object({ except: z.string().nullable(), question: z.unknown() });
const zAnswer = z.object({
  member: z.string(),
  value: z.unknown(),
  error: z.string().optional(),
});
type Answer = z.infer<typeof zAnswer>;

export interface Answers {
  /** Of those who could answer, in any order. */
  readonly values: readonly unknown[];
  /** Why others could not, in their words. */
  readonly errors: readonly string[];
  /** How many are live and did not answer in time. */
  readonly missing: number;
}

export interface Asking {
  /** How long to wait for those that do not answer. */
  readonly waitMs: number;
  /** This process knows by itself what it would answer. */
  readonly othersOnly: boolean;
}

type Answering = (question: unknown) => Promise<unknown>;

interface Terms {
  readonly line: Line;
  readonly clock: Clock;
  readonly subject: string;
}

/**
 * Questions that everybody who serves a subject answers. Those who do are known by a sign of life every
 * second, so an answer is complete as soon as the last of them has spoken, and one that was killed
 * holds nobody up for longer than a few seconds.
 */
export class AskAll {
  readonly #terms: Terms;
  readonly #member = nuid.next();
  /** When each was last heard of. */
  readonly #members = new Map<string, number>();
  /** Since when signs come without a break. */
  #hearingMs = Infinity;
  readonly #open = new Set<OpenQuestion>();

  constructor(terms: Terms) {
    this.#terms = terms;
    onceConnected(terms.line, (connection) => {
      const subscription = connection.subscribe(`${terms.subject}.here`, {
        callback: (error, { data }) => {
          if (!error) this.#heard(data);
        },
      });
      this.#hearingMs = terms.clock.monotonicMs();
      void this.#noteBreaks(connection);
      return () => unsubscribed(connection, subscription);
    });
  }

  /** Answers from now on; the returned function ends it. */
  serve(answer: Answering): () => void {
    return onceConnected(this.#terms.line, (connection) => this.#serve(connection, answer));
  }

  /** What all have to say. Never throws: whoever cannot be reached is missing or not known. */
  async ask(question: unknown, { waitMs, othersOnly }: Asking): Promise<Answers> {
    const { line, clock, subject } = this.#terms;
    const connection = usable(line);
    if (!connection) return { values: [], errors: [], missing: 0 };
    const except = othersOnly ? this.#member : null;
    const open = new OpenQuestion(othersOnly ? 0 : 1, () => this.#expected(except));
    const inbox = newAnswersInbox(line);
    const subscription = connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error || message.headers?.code === noResponders) open.end();
        else open.heard(message.data);
      },
    });
    this.#open.add(open);
    connection.publish(`${subject}.ask`, JSON.stringify({ except, question }), { reply: inbox });
    const cancel = clock.after(waitMs, () => open.end());
    await open.ended;
    cancel();
    this.#open.delete(open);
    unsubscribed(connection, subscription);
    return open.answers();
  }

  #serve(connection: NatsConnection, answer: Answering): () => void {
    const { clock, subject } = this.#terms;
    const subscription = connection.subscribe(`${subject}.ask`, {
      callback: (error, message) => {
        if (!error) void this.#answer(message, answer);
      },
    });
    let cancel: () => void;
    const sign = (): void => {
      this.#say(`${subject}.here`, { member: this.#member, here: true });
      cancel = clock.after(hereMs, sign);
    };
    sign();
    return () => {
      cancel();
      unsubscribed(connection, subscription);
      this.#say(`${subject}.here`, { member: this.#member, here: false });
    };
  }

  async #answer(message: Msg, answer: Answering): Promise<void> {
    const asked = zQuestion.safeParse(parsed(message.data));
    const { reply = '' } = message;
    if (!asked.success || !isInbox(reply) || asked.data.except === this.#member) return;
    try {
      const value = await answer(asked.data.question);
      this.#say(reply, { member: this.#member, value });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#say(reply, { member: this.#member, value: null, error: reason });
    }
  }

  #heard(data: Uint8Array): void {
    const sign = zSign.safeParse(parsed(data));
    if (!sign.success) return;
    if (sign.data.here) this.#members.set(sign.data.member, this.#terms.clock.monotonicMs());
    else this.#members.delete(sign.data.member);
    for (const open of this.#open) open.look();
  }

  #expected(except: string | null): Expected {
    const nowMs = this.#terms.clock.monotonicMs();
    for (const [member, heardMs] of this.#members) {
      if (nowMs - heardMs > goneMs) this.#members.delete(member);
    }
    const live = [...this.#members.keys()].filter((member) => member !== except);
    return { live, all: nowMs - this.#hearingMs >= settledMs };
  }

  async #noteBreaks(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) {
      if (type === 'reconnect') this.#hearingMs = this.#terms.clock.monotonicMs();
    }
  }

  #say(subject: string, what: object): void {
    usable(this.#terms.line)?.publish(subject, JSON.stringify(what));
  }
}

/** Who is live and will answer; `all`: nobody can be there who was not heard of. */
interface Expected {
  readonly live: readonly string[];
  readonly all: boolean;
}

/** One question and what has come so far. */
class OpenQuestion {
  readonly ended: Promise<void>;
  readonly end: () => void;
  readonly #atLeast: number;
  readonly #expected: () => Expected;
  readonly #answers = new Map<string, Answer>();

  /** Fewer than `atLeast` answers are not enough, whoever is live. */
  constructor(atLeast: number, expected: () => Expected) {
    this.#atLeast = atLeast;
    this.#expected = expected;
    ({ promise: this.ended, resolve: this.end } = Promise.withResolvers<void>());
    this.look();
  }

  heard(data: Uint8Array): void {
    const answer = zAnswer.safeParse(parsed(data));
    if (!answer.success) return;
    this.#answers.set(answer.data.member, answer.data);
    this.look();
  }

  /** Ends when nobody is left to wait for. */
  look(): void {
    const { live, all } = this.#expected();
    if (!all || this.#answers.size < this.#atLeast) return;
    if (live.every((member) => this.#answers.has(member))) this.end();
  }

  answers(): Answers {
    const all = [...this.#answers.values()];
    return {
      values: all.filter(({ error }) => error === undefined).map(({ value }) => value),
      errors: all.flatMap(({ error }) => error ?? []),
      missing: this.#expected().live.filter((member) => !this.#answers.has(member)).length,
    };
  }
}
