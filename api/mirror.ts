import type { Collection } from '#contracts/store.ts';

export interface Mirrored<Kept> {
  /** By id in code-unit order. */
  readonly documents: ReadonlyMap<string, Kept>;
  /** The ids of those that do not parse. */
  readonly broken: ReadonlySet<string>;
}

/**
 * A collection as it is in the store, kept parsed, so that reading it costs what was written since
 * the last time. It misses no write that was answered before `read` was called, by whichever
 * process: the store is asked each time. Memory is bounded by what is kept of a document, times how
 * many there are.
 */
export class Mirror<T, Kept> {
  readonly #collection: Pick<Collection<T>, 'changesSince'>;
  readonly #keep: (value: T) => Kept;
  #documents = new Map<string, Kept>();
  readonly #broken = new Set<string>();
  #version = 0;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<Mirrored<Kept>> | undefined;

  /** `keep` takes from a document what readers need. */
  constructor(collection: Pick<Collection<T>, 'changesSince'>, keep: (value: T) => Kept) {
    this.#collection = collection;
    this.#keep = keep;
  }

  /**
   * As at a moment after the call, or later: use it before awaiting anything else. Who calls while
   * a reading is under way, which may have looked too early, shares the next one.
   */
  read(): Promise<Mirrored<Kept>> {
    this.#next ??= this.#after(this.#running);
    return this.#next;
  }

  async #after(running: Promise<unknown>): Promise<Mirrored<Kept>> {
    // Its failure was told to those who asked for it.
    await running.catch(() => undefined);
    this.#next = undefined;
    const refreshed = this.#refresh();
    this.#running = refreshed;
    return refreshed;
  }

  async #refresh(): Promise<Mirrored<Kept>> {
    const { documents, broken, ids, version } = await this.#collection.changesSince(this.#version);
    const added: [string, Kept][] = [];
    for (const { id, value } of documents) {
      if (this.#documents.has(id)) this.#documents.set(id, this.#keep(value));
      else added.push([id, this.#keep(value)]);
      this.#broken.delete(id);
    }
    if (added.length > 0)
      this.#documents = new Map(
        [...this.#documents, ...added].toSorted(([a], [b]) => (a < b ? -1 : 1)),
      );
    for (const { id } of broken) {
      this.#broken.add(id);
      this.#documents.delete(id);
    }
    if (ids) this.#forget(new Set(ids));
    this.#version = version;
    return { documents: this.#documents, broken: this.#broken };
  }

  #forget(there: ReadonlySet<string>): void {
    for (const id of this.#documents.keys()) if (!there.has(id)) this.#documents.delete(id);
    for (const id of this.#broken) if (!there.has(id)) this.#broken.delete(id);
  }
}
