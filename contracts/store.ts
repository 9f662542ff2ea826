import type { z } from 'zod';

/** A JSON document with the version it was read at. */
export interface Document {
  readonly id: string;
  readonly value: unknown;
  /**
   * Grows with every write in the store; unique over all its collections. In a store that outlives its
   * process it follows the clock, so one that is begun anew does not give versions again.
   */
  readonly version: number;
}

/** What must be true of the stored document for a write to happen. */
export type Expectation = 'anything' | 'absent' | { readonly version: number };

/** A write under a lease: refused once a newer token of the same lease was seen. */
export interface Fence {
  readonly lease: string;
  readonly token: number;
}

export interface Change {
  readonly id: string;
  readonly version: number;
}

/** What became of a collection since a version, all read at one moment. */
export interface Delta {
  /** The documents with a newer version, in any order. */
  readonly written: readonly Document[];
  /** The ids of all documents there are, when one was removed since; else undefined. */
  readonly ids: readonly string[] | undefined;
  /** Of the store at that moment: where the next delta goes on. */
  readonly version: number;
}

/** A part of what was written since a version. */
export interface Page {
  readonly written: readonly Document[];
  /** Of the last page: where to go on from. */
  readonly version: number;
}

/**
 * Versioned documents in named collections.
 *
 * - A write that resolved is durable: it survives SIGKILL and a power cut of this process.
 * - Writes to one document are atomic and totally ordered by `version`.
 * - Reads see every write that resolved before they began, whoever made it; and with a write all
 *   writes of a lower version.
 * - `watch` reports at least once each id that changed after the call, in order of the last change;
 *   several changes of one id may arrive as one. It says "look at this id", never what happened.
 *   A consumer that is slow costs memory bounded by the number of ids. Aborting `signal` ends the
 *   iteration without an error.
 * - A store on another machine may throw `StoreUnavailable` from every call, and
 *   `WriteOutcomeUnknown` from `put` and `remove`; its watches go on when it is back, and miss nothing.
 */
export interface Store {
  get(collection: string, id: string): Promise<Document | undefined>;
  /** All documents of a collection, by id in code-unit order. */
  list(collection: string): Promise<readonly Document[]>;
  /** Of all documents of a collection, in any order. */
  ids(collection: string): Promise<readonly string[]>;
  /** What was written and removed since; costs by how much that is. 0: since ever. */
  changesSince(collection: string, version: number): Promise<Delta>;
  /**
   * What was written since, for who must not hold all of it at once: at least one page. A document that is
   * written meanwhile may come twice, its last value last; removals are not told.
   */
  pagesSince(collection: string, version: number): AsyncIterable<Page>;
  /** Returns the new version. Throws `WriteConflict` or `FencedOff`. */
  put(
    collection: string,
    document: { readonly id: string; readonly value: unknown },
    expect: Expectation,
    fence?: Fence,
  ): Promise<number>;
  /** Removing what is not there is fine with 'anything'. Throws `WriteConflict` or `FencedOff`. */
  remove(collection: string, id: string, expect: Expectation, fence?: Fence): Promise<void>;
  watch(collection: string, signal: AbortSignal): AsyncIterable<Change>;
}

/** The document was changed by somebody else since it was read, or exists although 'absent'. */
export class WriteConflict extends Error {
  override readonly name = 'WriteConflict';
}

/** A newer holder of the lease has written; the caller must stop acting as leader. */
export class FencedOff extends Error {
  override readonly name = 'FencedOff';
}

/** The store cannot be used at the moment; what was asked for did not happen. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}

/**
 * The store was lost while it wrote: the document may be the new one now, or become it. Whoever needs
 * to know reads it again.
 */
export class WriteOutcomeUnknown extends Error {
  override readonly name = 'WriteOutcomeUnknown';
}

/** A stored document that its schema refuses: reported, never silently dropped. */
interface Broken {
  readonly id: string;
  readonly reason: string;
}

export interface Typed<T> {
  readonly id: string;
  readonly value: T;
  readonly version: number;
}

interface Parsed<T> {
  readonly documents: readonly Typed<T>[];
  readonly broken: readonly Broken[];
}

/** One collection of a store, parsed on reading and checked before writing. */
export interface Collection<T> {
  /** Throws `BrokenDocument` when the stored value does not parse. */
  get(id: string): Promise<Typed<T> | undefined>;
  list(): Promise<Parsed<T>>;
  /** Those of documents that do not parse as well. */
  ids(): Promise<readonly string[]>;
  changesSince(version: number): Promise<Parsed<T> & Omit<Delta, 'written'>>;
  pagesSince(version: number): AsyncIterable<Parsed<T> & Omit<Page, 'written'>>;
  put(id: string, value: T, expect: Expectation, fence?: Fence): Promise<number>;
  remove(id: string, expect: Expectation, fence?: Fence): Promise<void>;
  watch(signal: AbortSignal): AsyncIterable<Change>;
}

export class BrokenDocument extends Error {
  override readonly name = 'BrokenDocument';
}

/** Binds a collection name to its schema. Holds no state of its own. */
export function collection<T>(store: Store, name: string, schema: z.ZodType<T>): Collection<T> {
  return {
    async get(id) {
      const document = await store.get(name, id);
      if (!document) return undefined;
      const parsed = schema.safeParse(document.value);
      if (!parsed.success) throw new BrokenDocument(`${name}/${id}: ${parsed.error.message}`);
      return { id, value: parsed.data, version: document.version };
    },
    list: async () => parseAll(schema, await store.list(name)),
    ids: () => store.ids(name),
    async changesSince(since) {
      const { written, ...delta } = await store.changesSince(name, since);
      return { ...parseAll(schema, written), ...delta };
    },
    async *pagesSince(since) {
      for await (const { written, version } of store.pagesSince(name, since))
        yield { ...parseAll(schema, written), version };
    },
    put: (id, value, expect, fence) =>
      store.put(name, { id, value: schema.parse(value) }, expect, fence),
    remove: (id, expect, fence) => store.remove(name, id, expect, fence),
    watch: (signal) => store.watch(name, signal),
  };
}

function parseAll<T>(schema: z.ZodType<T>, stored: readonly Document[]): Parsed<T> {
  const documents: Typed<T>[] = [];
  const broken: Broken[] = [];
  for (const { id, value, version } of stored) {
    const parsed = schema.safeParse(value);
    if (parsed.success) documents.push({ id, value: parsed.data, version });
    else broken.push({ id, reason: parsed.error.message });
  }
  return { documents, broken };
}
