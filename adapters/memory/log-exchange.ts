import type { LogExchange, PodLogs } from '#contracts/logs.ts';
import { LogsUnavailable } from '#contracts/logs.ts';

/** Hands questions for logs to the one that answers them in this process. */
export class MemoryLogExchange implements LogExchange {
  #served: PodLogs | undefined;

  serve(logs: PodLogs): () => void {
    this.#served = logs;
    return () => {
      if (this.#served === logs) this.#served = undefined;
    };
  }

  async read(key: string): Promise<string> {
    if (!this.#served) throw new LogsUnavailable('no controller serves logs');
    return this.#served.read(key);
  }
}
