import type { LogExchange, LogPiece, LogStart, LogWindow, PodLogs } from '#contracts/logs.ts';
import { LogsUnavailable } from '#contracts/logs.ts';
import { Newest } from './newest.ts';

/** Hands questions for logs to the one that answers them in this process: whoever came last. */
export class MemoryLogExchange implements LogExchange {
  readonly #serving = new Newest<{ readonly logs: PodLogs; readonly ended: AbortSignal }>();

  serve(logs: PodLogs): () => void {
    const ending = new AbortController();
    const end = this.#serving.add({ logs, ended: ending.signal });
    return () => {
      end();
      ending.abort();
    };
  }

  async read(key: string, window?: LogWindow): Promise<string> {
    return this.#current().logs.read(key, window);
  }

  async *follow(key: string, start: LogStart, signal: AbortSignal): AsyncGenerator<LogPiece> {
    const { logs, ended } = this.#current();
    yield* logs.follow(key, start, AbortSignal.any([signal, ended]));
    if (ended.aborted && !signal.aborted) throw new LogsUnavailable('the controller has ended');
  }

  #current(): { readonly logs: PodLogs; readonly ended: AbortSignal } {
    const newest = this.#serving.current;
    if (!newest) throw new LogsUnavailable('no controller serves logs');
    return newest;
  }
}
