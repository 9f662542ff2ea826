import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { LogExchange, LogPiece, LogStart, LogWindow, PodLogs } from '#contracts/logs.ts';
import { LogsUnavailable } from '#contracts/logs.ts';
import { MemoryLogExchange } from '../memory/log-exchange.ts';
import type { Line } from './line.ts';
import { askForStream } from './stream-asker.ts';
import { serveStreams } from './stream-server.ts';
import { WhileWanted } from './while-wanted.ts';

const subject = 'podgate.logs';

const zWindow = z.object({ tail: z.int().optional(), sinceMs: z.number().optional() });
const zQuestion = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('read'), key: z.string(), window: zWindow.optional() }),
  z.object({
    kind: z.literal('follow'),
    key: z.string(),
    start: z.union([z.object({ after: z.string() }), zWindow]),
  }),
]);
type Question = z.infer<typeof zQuestion>;
const zPiece = z.object({ text: z.string(), cursor: z.string(), gap: z.boolean() });

/**
 * Logs asked for in one program and answered in another. Of several programs that serve, one answers:
 * whichever offers first, so one that hangs is not waited for.
 */
export class NatsLogExchange implements LogExchange {
  readonly #terms: { readonly line: Line; readonly clock: Clock };
  /** Those who serve in this process. */
  readonly #own = new MemoryLogExchange();
  readonly #answering = new WhileWanted(() => this.#serveOwn());

  constructor(line: Line, clock: Clock) {
    this.#terms = { line, clock };
  }

  serve(logs: PodLogs): () => void {
    const end = this.#own.serve(logs);
    const unwant = this.#answering.want();
    return () => {
      unwant();
      end();
    };
  }

  async read(key: string, window?: LogWindow): Promise<string> {
    for await (const text of this.#ask({ kind: 'read', key, window }, never)) {
      return z.string().parse(text);
    }
    throw new LogsUnavailable('the answer was empty');
  }

  async *follow(key: string, start: LogStart, signal: AbortSignal): AsyncGenerator<LogPiece> {
    for await (const piece of this.#ask({ kind: 'follow', key, start }, signal)) {
      yield zPiece.parse(piece);
    }
  }

  #ask(question: Question, signal: AbortSignal): AsyncIterable<unknown> {
    return askForStream({ ...this.#terms, subject, question, unavailable }, signal);
  }

  #serveOwn(): () => void {
    return serveStreams({
      ...this.#terms,
      subject,
      open: (question, signal) => this.#answers(question, signal),
      unavailable: (error) => error instanceof LogsUnavailable,
    });
  }

  async *#answers(asked: unknown, signal: AbortSignal): AsyncGenerator<string | LogPiece> {
    const question = zQuestion.parse(asked);
    if (question.kind === 'read') yield await this.#own.read(question.key, question.window);
    else yield* this.#own.follow(question.key, question.start, signal);
  }
}

const unavailable = (reason: string): Error =>
  new LogsUnavailable(`no controller can be asked for logs: ${reason}`);

const never = new AbortController().signal;
