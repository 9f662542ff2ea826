import type { Change, Document, Expectation, Fence, Store } from '#contracts/store.ts';
import { FencedOff, WriteConflict } from '#contracts/store.ts';
import { ChangeFeed } from './change-feed.ts';

/** Documents in this process: for tests and simulations. Nothing survives the process. */
export class MemoryStore implements Store {
  readonly #collections = new Map<string, Map<string, Document>>();
  readonly #fences = new Map<string, number>();
  readonly #feed = new ChangeFeed();
  #version = 0;

  async get(collection: string, id: string): Promise<Document | undefined> {
    return this.#of(collection).get(id);
  }

  async list(collection: string): Promise<readonly Document[]> {
    const documents = [...this.#of(collection).values()];
    return documents.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  async put(
    collection: string,
    document: { readonly id: string; readonly value: unknown },
    expect: Expectation,
    fence?: Fence,
  ): Promise<number> {
    this.#allow(collection, document.id, expect, fence);
    const version = ++this.#version;
    // A copy, as every store that leaves the process makes one.
    const value: unknown = structuredClone(document.value);
    this.#of(collection).set(document.id, { id: document.id, value, version });
    this.#feed.publish(collection, { id: document.id, version });
    return version;
  }

  async remove(collection: string, id: string, expect: Expectation, fence?: Fence): Promise<void> {
    this.#allow(collection, id, expect, fence);
    if (!this.#of(collection).delete(id)) return;
    this.#feed.publish(collection, { id, version: ++this.#version });
  }

  watch(collection: string, signal: AbortSignal): AsyncIterable<Change> {
    return this.#feed.watch(collection, signal);
  }

  #of(collection: string): Map<string, Document> {
    let documents = this.#collections.get(collection);
    if (!documents) this.#collections.set(collection, (documents = new Map()));
    return documents;
  }

  #allow(collection: string, id: string, expect: Expectation, fence: Fence | undefined): void {
    const highest = fence ? (this.#fences.get(fence.lease) ?? 0) : 0;
    if (fence && fence.token < highest) throw new FencedOff(`${fence.lease} has a newer holder`);
    const stored = this.#of(collection).get(id);
    const conflict =
      expect === 'absent' ? stored : expect !== 'anything' && stored?.version !== expect.version;
    if (conflict) throw new WriteConflict(`${collection}/${id} was changed meanwhile`);
    if (fence) this.#fences.set(fence.lease, fence.token);
  }
}
