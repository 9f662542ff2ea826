import type { LogExchange, PodLogs } from '#contracts/logs.ts';
import { LogsUnavailable } from '#contracts/logs.ts';
import { Newest } from './newest.ts';

/** Hands questions for logs to the one that answers them in this process: whoever came last. */
export class MemoryLogExchange implements LogExchange {
  readonly #serving = new Newest<PodLogs>();

  serve(logs: PodLogs): () => void {
    return this.#serving.add(logs);
  }

  async read(key: string): Promise<string> {
    const newest = this.#serving.current;
    if (!newest) throw new LogsUnavailable('no controller serves logs');
    return newest.read(key);
  }
}
