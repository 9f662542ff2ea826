import type { Change } from '#contracts/store.ts';

/**
 * Tells watchers of a collection which ids changed. Each watcher has its own pending ids, so a slow
 * one costs at most one entry per id and holds up nobody.
 */
export class ChangeFeed {
  readonly #watchers = new Map<string, Set<(change: Change) => void>>();

  publish(collection: string, change: Change): void {
    for (const notify of this.#watchers.get(collection) ?? []) notify(change);
  }

  /** Watching starts with this call, not with the first `next`: nothing is missed in between. */
  watch(collection: string, signal: AbortSignal): AsyncIterable<Change> {
    const pending = new Map<string, Change>();
    let wake: (() => void) | undefined;
    const notify = (change: Change): void => {
      // Deleted first, so that the order of the map is that of the last change.
      pending.delete(change.id);
      pending.set(change.id, change);
      wake?.();
    };
    const watchers = this.#watchers.get(collection) ?? new Set();
    this.#watchers.set(collection, watchers.add(notify));
    const end = (): void => {
      watchers.delete(notify);
      wake?.();
    };
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();

    async function* changes(): AsyncGenerator<Change> {
      try {
        while (!signal.aborted) {
          const [first] = pending.values();
          if (first) {
            pending.delete(first.id);
            yield first;
            continue;
          }
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          wake = undefined;
        }
      } finally {
        watchers.delete(notify);
        signal.removeEventListener('abort', end);
      }
    }
    return changes();
  }
}
