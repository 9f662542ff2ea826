import type { Change, Delta, Document, Expectation, Fence, Page, Store } from '#contracts/store.ts';
import { FencedOff, WriteConflict } from '#contracts/store.ts';
import { jsonText } from '../memory/store.ts';
import type { ChangeStream } from './changes.ts';
import type { Connection } from './connection.ts';
import {
  changesKey,
  documentsKey,
  fencesKey,
  newestKey,
  removalsKey,
  versionsKey,
} from './keys.ts';
import { replicated } from './replicated.ts';
import { pageScript, putScript, removeScript, run } from './scripts.ts';

// Redis serves nobody else while it reads a page: some 100 µs, a few ms where documents are large.
const pageSize = 250;
const pageBytes = 1_000_000;

/** Where a reading of pages begins. */
interface Start {
  readonly after: number;
  /** `after` need not be a version of this history: nobody goes on from it. */
  readonly known: boolean;
  /** The version after which removals matter, by default that of the first page. */
  readonly removal?: number;
}
const noRemoval = Number.MAX_SAFE_INTEGER;

interface StorePorts {
  readonly reads: Connection;
  readonly writes: Connection;
  readonly changes: ChangeStream;
  /** Replicas that must have a write before it resolves. */
  readonly waitReplicas: number;
}

interface ReadPage extends Page {
  readonly last: boolean;
  readonly ids: readonly string[] | undefined;
}

/**
 * Documents in Redis. A write is one script, so it happens whole or not at all.
 *
 * - A list and a delta are of one moment, that of their last page: pages go by version, so what is
 *   written meanwhile comes on a later page, and the last one tells of removals.
 * - How durable a resolved write is, is Redis's own configuration (README, "Running on Redis").
 * - Every call may throw `StoreUnavailable` (nothing was done), a write `WriteOutcomeUnknown` too.
 */
export class RedisStore implements Store {
  readonly #ports: StorePorts;

  constructor(ports: StorePorts) {
    this.#ports = ports;
  }

  async get(collection: string, id: string): Promise<Document | undefined> {
    const text = await this.#ports.reads.repeat((client) =>
      client.hget(documentsKey(collection), id),
    );
    return text === null ? undefined : documentOf(id, text);
  }

  async list(collection: string): Promise<readonly Document[]> {
    const delta = await this.#read(collection, { after: 0, known: true });
    return (delta?.written ?? []).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  ids(collection: string): Promise<readonly string[]> {
    return this.#ports.reads.repeat((client) => client.zrange(versionsKey(collection), '0', '-1'));
  }

  async changesSince(collection: string, since: number): Promise<Delta> {
    const delta =
      (await this.#read(collection, { after: since, known: false, removal: since })) ??
      // A failover forgot that version: what the caller has of it may have forgotten siblings.
      (await this.#read(collection, { after: 0, known: true, removal: -1 }));
    if (!delta) throw new Error('a delta since ever is always known');
    return delta;
  }

  async *pagesSince(collection: string, since: number): AsyncGenerator<Page> {
    let known = false;
    const start = { after: since, known: false, removal: noRemoval };
    for await (const page of this.#pages(collection, start)) {
      known = true;
      yield page;
    }
    // A failover forgot that version, or it is another Redis.
    if (!known) yield* this.#pages(collection, { after: 0, known: true, removal: noRemoval });
  }

  async put(
    collection: string,
    document: { readonly id: string; readonly value: unknown },
    expect: Expectation,
    fence?: Fence,
  ): Promise<number> {
    const text = jsonText(document.value);
    return this.#write(collection, { id: document.id, text }, expect, fence);
  }

  async remove(collection: string, id: string, expect: Expectation, fence?: Fence): Promise<void> {
    await this.#write(collection, { id, text: '' }, expect, fence);
  }

  watch(collection: string, signal: AbortSignal): AsyncIterable<Change> {
    return this.#ports.changes.watch(collection, signal);
  }

  async #write(
    collection: string,
    { id, text }: { readonly id: string; readonly text: string },
    expect: Expectation,
    fence: Fence | undefined,
  ): Promise<number> {
    const { changes, writes, waitReplicas } = this.#ports;
    const keys = [...keysOf(collection), fencesKey];
    const expected = typeof expect === 'string' ? expect : expect.version;
    const values = [collection, id, text, expected, fence?.lease ?? '', fence?.token ?? ''];
    const script = text === '' ? removeScript : putScript;
    const reply = await writes.once((client) => run(client, script, keys, values));
    if (reply === 'fenced') throw new FencedOff(`${fence?.lease} has a newer holder`);
    if (reply === 'conflict') throw new WriteConflict(`${collection}/${id} was changed meanwhile`);
    changes.seen(Number(reply));
    await replicated(writes, waitReplicas);
    return Number(reply);
  }

  /** All pages in one. Undefined when `after` has to be a known version and is none. */
  async #read(collection: string, from: Start): Promise<Delta | undefined> {
    const found = new Map<string, Document>();
    let end: ReadPage | undefined;
    for await (const page of this.#pages(collection, from)) {
      for (const document of page.written) found.set(document.id, document);
      end = page;
    }
    return end && { written: stillThere(found, end.ids), ids: end.ids, version: end.version };
  }

  /** None at all when `after` has to be a known version and is none. */
  async *#pages(collection: string, start: Start): AsyncGenerator<ReadPage> {
    let since = start.known ? '' : String(start.after);
    let { after, removal } = start;
    for (;;) {
      const matters = removal ?? noRemoval;
      const values = [collection, since, after, pageSize, pageBytes, matters];
      const page = await this.#page(collection, values);
      if (!page) return;
      yield page;
      if (page.last) return;
      since = '';
      after = page.written.at(-1)?.version ?? after;
      removal ??= page.version;
    }
  }

  async #page(
    collection: string,
    values: readonly (string | number)[],
  ): Promise<ReadPage | undefined> {
    const reply = await this.#ports.reads.repeat((client) =>
      run(client, pageScript, keysOf(collection), values),
    );
    if (!Array.isArray(reply)) return undefined;
    const [ids, texts, version, last, all]: unknown[] = reply;
    const names = strings(ids) ?? [];
    return {
      written: (strings(texts) ?? []).map((text, index) => documentOf(names[index] ?? '', text)),
      last: last === 1,
      version: Number(version),
      ids: strings(all),
    };
  }
}

const keysOf = (collection: string): string[] => [
  versionsKey(collection),
  documentsKey(collection),
  newestKey,
  removalsKey,
  changesKey,
];

const strings = (reply: unknown): string[] | undefined =>
  Array.isArray(reply) ? reply.map(String) : undefined;

function stillThere(
  found: ReadonlyMap<string, Document>,
  ids: readonly string[] | undefined,
): Document[] {
  if (!ids) return [...found.values()];
  const there = new Set(ids);
  return [...found.values()].filter(({ id }) => there.has(id));
}

function documentOf(id: string, stored: string): Document {
  const blank = stored.indexOf(' ');
  return {
    id,
    value: JSON.parse(stored.slice(blank + 1)),
    version: Number(stored.slice(0, blank)),
  };
}
