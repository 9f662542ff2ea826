import type { LogExchange, PodLogs } from '#contracts/logs.ts';
import { LogsUnavailable } from '#contracts/logs.ts';

/** Hands questions for logs to the one that answers them in this process: whoever came last. */
export class MemoryLogExchange implements LogExchange {
  readonly #serving: { readonly logs: PodLogs }[] = [];

  serve(logs: PodLogs): () => void {
    const entry = { logs };
    this.#serving.push(entry);
    return () => {
      const index = this.#serving.indexOf(entry);
      if (index !== -1) this.#serving.splice(index, 1);
    };
  }

  async read(key: string): Promise<string> {
    const newest = this.#serving.at(-1);
    if (!newest) throw new LogsUnavailable('no controller serves logs');
    return newest.logs.read(key);
  }
}
