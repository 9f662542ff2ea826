/** Hands keys to any number of readers; a reader that is slow costs one entry per key. */
export class Broadcast {
  readonly #readers = new Set<(key: string) => void>();

  send(key: string): void {
    for (const read of this.#readers) read(key);
  }

  /** Listens from this call on, until `signal` aborts. */
  receive(signal: AbortSignal): AsyncIterable<string> {
    const pending = new Set<string>();
    let wake: (() => void) | undefined;
    const read = (key: string): void => {
      pending.add(key);
      wake?.();
    };
    const end = (): void => {
      this.#readers.delete(read);
      wake?.();
    };
    this.#readers.add(read);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();

    async function* keys(): AsyncGenerator<string> {
      try {
        while (!signal.aborted) {
          for (const key of pending) {
            pending.delete(key);
            yield key;
          }
          if (signal.aborted || pending.size > 0) continue;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      } finally {
        end();
      }
    }
    return keys();
  }
}
