import type { Collection } from '#contracts/store.ts';

/**
 * What is kept of each document of a collection, brought up to date for what was written and removed since
 * the last time. The first time goes by pages: the values are never all in memory.
 */
export class Digest<T, Kept> {
  /** Undefined: it does not parse. */
  readonly kept = new Map<string, Kept | undefined>();
  readonly #collection: Collection<T>;
  readonly #keep: (value: T) => Kept;
  #version = 0;
  #isWhole = false;

  constructor(collection: Collection<T>, keep: (value: T) => Kept) {
    this.#collection = collection;
    this.#keep = keep;
  }

  /** Tells each id that was written or removed, and why it does not parse if so. */
  async update(tell: (id: string, broken?: string) => void): Promise<void> {
    if (!this.#isWhole) await this.#begin(tell);
    const { ids, version, ...parsed } = await this.#collection.changesSince(this.#version);
    this.#take(parsed, tell);
    if (ids) this.#forget(ids, tell);
    this.#version = version;
  }

  /** Pages tell no removals. */
  async #begin(tell: (id: string, broken?: string) => void): Promise<void> {
    for await (const { version, ...parsed } of this.#collection.pagesSince(this.#version)) {
      this.#take(parsed, tell);
      this.#version = version;
    }
    this.#forget(await this.#collection.ids(), tell);
    this.#isWhole = true;
  }

  #take(
    { documents, broken }: Pick<Awaited<ReturnType<Collection<T>['list']>>, 'documents' | 'broken'>,
    tell: (id: string, broken?: string) => void,
  ): void {
    for (const { id, value } of documents) {
      this.kept.set(id, this.#keep(value));
      tell(id);
    }
    for (const { id, reason } of broken) {
      this.kept.set(id, undefined);
      tell(id, reason);
    }
  }

  #forget(ids: readonly string[], tell: (id: string) => void): void {
    const there = new Set(ids);
    for (const id of this.kept.keys()) {
      if (there.has(id)) continue;
      this.kept.delete(id);
      tell(id);
    }
  }
}
