import type { Change, Delta, Document, Expectation, Fence, Page, Store } from '#contracts/store.ts';
import { FencedOff, WriteConflict } from '#contracts/store.ts';
import { ChangeFeed } from './change-feed.ts';

interface Row {
  /** JSON text, as every store that leaves the process keeps it: nobody shares an object with us. */
  readonly text: string;
  readonly version: number;
}

const pageSize = 250; // as Redis has it

/** Documents in this process: for tests and simulations. Nothing survives the process. */
export class MemoryStore implements Store {
  readonly #collections = new Map<string, Map<string, Row>>();
  readonly #fences = new Map<string, number>();
  readonly #feed = new ChangeFeed();
  /** By collection the version of the last removal. */
  readonly #removals = new Map<string, number>();
  #version = 0;

  async get(collection: string, id: string): Promise<Document | undefined> {
    const row = this.#of(collection).get(id);
    return row && documentOf(id, row);
  }

  async list(collection: string): Promise<readonly Document[]> {
    return Array.from(this.#of(collection), ([id, row]) => documentOf(id, row)).toSorted((a, b) =>
      a.id < b.id ? -1 : 1,
    );
  }

  async ids(collection: string): Promise<readonly string[]> {
    return [...this.#of(collection).keys()];
  }

  async changesSince(collection: string, since: number): Promise<Delta> {
    const rows = this.#of(collection);
    const written = [...rows].filter(([, { version }]) => version > since);
    const ids = (this.#removals.get(collection) ?? 0) > since ? [...rows.keys()] : undefined;
    return {
      written: written.map(([id, row]) => documentOf(id, row)),
      ids,
      version: this.#version,
    };
  }

  async *pagesSince(collection: string, since: number): AsyncGenerator<Page> {
    const version = this.#version;
    const rows = [...this.#of(collection)].filter((row) => row[1].version > since);
    rows.sort(([, a], [, b]) => a.version - b.version);
    for (let at = 0; at === 0 || at < rows.length; at += pageSize) {
      const page = rows.slice(at, at + pageSize);
      yield { written: page.map(([id, row]) => documentOf(id, row)), version };
    }
  }

  async put(
    collection: string,
    document: { readonly id: string; readonly value: unknown },
    expect: Expectation,
    fence?: Fence,
  ): Promise<number> {
    const { id, value } = document;
    const text = jsonText(value);
    this.#allow(collection, id, expect, fence);
    const version = ++this.#version;
    this.#of(collection).set(id, { text, version });
    this.#feed.publish(collection, { id, version });
    return version;
  }

  async remove(collection: string, id: string, expect: Expectation, fence?: Fence): Promise<void> {
    this.#allow(collection, id, expect, fence);
    if (!this.#of(collection).delete(id)) return;
    this.#removals.set(collection, ++this.#version);
    this.#feed.publish(collection, { id, version: this.#version });
  }

  watch(collection: string, signal: AbortSignal): AsyncIterable<Change> {
    return this.#feed.watch(collection, signal);
  }

  #of(collection: string): Map<string, Row> {
    let rows = this.#collections.get(collection);
    if (!rows) this.#collections.set(collection, (rows = new Map()));
    return rows;
  }

  #allow(collection: string, id: string, expect: Expectation, fence: Fence | undefined): void {
    checkFence(fence, fence && this.#fences.get(fence.lease));
    checkExpectation(`${collection}/${id}`, expect, this.#of(collection).get(id)?.version);
    if (fence) this.#fences.set(fence.lease, fence.token);
  }
}

const documentOf = (id: string, { text, version }: Row): Document => ({
  id,
  value: JSON.parse(text),
  version,
});

/** The text of a document's value; what JSON cannot say at all is a mistake of the caller. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new TypeError('a document must be a JSON value');
  return text;
}

/** Throws `FencedOff` when `newest`, the newest token seen, belongs to a later holder. */
export function checkFence(fence: Fence | undefined, newest: number | undefined): void {
  if (fence && newest !== undefined && fence.token < newest)
    throw new FencedOff(`${fence.lease} has a newer holder`);
}

/** Throws `WriteConflict` when the stored `version` (undefined: absent) is not the expected one. */
export function checkExpectation(
  place: string,
  expect: Expectation,
  version: number | undefined,
): void {
  if (expect === 'anything') return;
  const expected = expect === 'absent' ? undefined : expect.version;
  if (version !== expected) throw new WriteConflict(`${place} was changed meanwhile`);
}
