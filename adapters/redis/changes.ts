import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { Change } from '#contracts/store.ts';
import { ChangeFeed } from '../memory/change-feed.ts';
import type { Client } from './client.ts';
import type { Connection } from './connection.ts';
import { changesKey, newestKey, versionsKey } from './keys.ts';

/** How long Redis holds the question for changes when there are none. */
export const blockMs = 3_000;
const entriesMax = 1_000; // in one answer, about 100 KB
const againMs = 500;

/** The last change that was read. */
interface Position {
  /** In the stream; `0-0` before the first. */
  readonly entry: string;
  readonly version: number;
}

interface Entry {
  readonly entry: string;
  readonly previous: number;
  readonly collection: string;
  readonly change: Change;
  readonly gone: boolean;
}

interface ChangeStreamPorts {
  /** For questions that are answered at once. */
  readonly commands: Connection;
  /** For those that wait for a change. */
  readonly waiting: Connection;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Reads the stream of changes from `start` on, on one connection for all watchers; so a watch needs to
 * ask nobody and begins with the call.
 *
 * Each entry names the version before it, and each reading asks for the last entry again. Where the
 * chain is broken (the stream was cut meanwhile, or a failover forgot something), every id that there
 * is and every id that was known is reported, so that nothing is missed, removals neither.
 */
export class ChangeStream {
  readonly #ports: ChangeStreamPorts;
  readonly #feed = new ChangeFeed();
  readonly #ended = new AbortController();
  /** By watched collection: at least all ids that its watchers may know of. */
  readonly #known = new Map<string, Set<string>>();
  #position: Position = { entry: '0-0', version: 0 };
  /** Something was missed, and nobody knows what. */
  #missing = false;
  /** How often that was so. */
  #gaps = 0;
  #newestSeen = 0;

  constructor(ports: ChangeStreamPorts) {
    this.#ports = ports;
  }

  /** Finds the end of the stream and tells watchers of what comes then. Throws `StoreUnavailable`. */
  async start(): Promise<void> {
    this.#position = (await this.#look([])).position;
    // Who watches already may have missed what is before that end.
    if (this.#known.size > 0) this.#missing = true;
    void this.#follow();
  }

  /** This version is there: watches that begin from now on need not be told. */
  seen(version: number): void {
    this.#newestSeen = Math.max(this.#newestSeen, version);
  }

  watch(collection: string, signal: AbortSignal): AsyncIterable<Change> {
    const changes = this.#feed.watch(collection, signal);
    if (!this.#known.has(collection)) {
      // At once, so that what is read of the stream while the ids are asked for is not lost.
      this.#known.set(collection, new Set());
      void this.#learn(collection);
    }
    return this.#newSince({ version: this.#newestSeen, gaps: this.#gaps }, changes);
  }

  close(): void {
    this.#ended.abort();
  }

  /** Without what the stream, still on its way, has of before the watch began. */
  async *#newSince(
    { version, gaps }: { readonly version: number; readonly gaps: number },
    changes: AsyncIterable<Change>,
  ): AsyncGenerator<Change> {
    for await (const change of changes) {
      // After a gap versions may be others than they were.
      if (change.version > version || this.#gaps !== gaps) yield change;
    }
  }

  async #learn(collection: string): Promise<void> {
    try {
      const { ids } = await this.#look([collection]);
      for (const id of ids.get(collection) ?? []) this.#known.get(collection)?.add(id);
    } catch {
      // The look at everything that follows learns it as well.
      this.#missing = true;
    }
  }

  async #follow(): Promise<void> {
    const { clock, log } = this.#ports;
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        if (this.#missing) await this.#reportAll();
        else this.#missing = !(await this.#readOn(this.#position));
      } catch (error) {
        if (signal.aborted) return;
        log.debug({ error: String(error) }, 'changes could not be read; trying again');
        await clock.sleep(againMs, signal).catch(() => undefined);
      }
    }
  }

  /** False when something after the position is missing. */
  async #readOn({ entry }: Position): Promise<boolean> {
    const { waiting } = this.#ports;
    const last = await waiting.repeat((client) => client.xrange(changesKey, entry, entry));
    if (entry !== '0-0' && last.length === 0) return false;
    return this.#take(entriesOf(await waiting.repeat((client) => readAfter(client, entry))));
  }

  #take(entries: readonly Entry[]): boolean {
    for (const { entry, previous, collection, change, gone } of entries) {
      if (previous !== this.#position.version) return false;
      const known = this.#known.get(collection);
      if (gone) known?.delete(change.id);
      else known?.add(change.id);
      this.#position = { entry, version: change.version };
      this.#feed.publish(collection, change);
    }
    return true;
  }

  async #reportAll(): Promise<void> {
    const collections = [...this.#known.keys()];
    const { position, ids } = await this.#look(collections);
    this.#ports.log.info({}, 'changes were missed; everything is looked at');
    this.#missing = false;
    this.#gaps += 1;
    this.#position = position;
    this.#newestSeen = position.version;
    const { version } = position;
    for (const collection of collections) {
      const now = ids.get(collection) ?? [];
      const before = this.#known.get(collection) ?? [];
      for (const id of new Set([...before, ...now]))
        this.#feed.publish(collection, { id, version });
      this.#known.set(collection, new Set(now));
    }
  }

  /** Where the stream is and which ids there are, at one moment. */
  async #look(
    collections: readonly string[],
  ): Promise<{ position: Position; ids: ReadonlyMap<string, readonly string[]> }> {
    const [newest, entries, ...ids] = await this.#ports.commands.repeat(async (client) => {
      const asked = [
        ['get', newestKey],
        ['xrevrange', changesKey, '+', '-', 'COUNT', 1],
        ...collections.map((collection) => ['zrange', versionsKey(collection), 0, -1]),
      ];
      return repliesOf(await client.multi(asked).exec());
    });
    const [entry] = listOf(listOf(entries)[0]).map(String);
    return {
      position: { entry: entry ?? '0-0', version: Number(newest ?? 0) },
      ids: new Map(collections.map((name, index) => [name, listOf(ids[index]).map(String)])),
    };
  }
}

const readAfter = (client: Client, entry: string): Promise<unknown> =>
  client.xread('COUNT', entriesMax, 'BLOCK', blockMs, 'STREAMS', changesKey, entry);

/** What the commands of one pipeline gave; throws the first error. */
function repliesOf(results: readonly [Error | null, unknown][] | null): unknown[] {
  return (results ?? []).map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
}

const listOf = (reply: unknown): readonly unknown[] => (Array.isArray(reply) ? reply : []);

/** XREAD gives for each stream its entries, each with its id and a flat list of fields and values. */
function entriesOf(reply: unknown): Entry[] {
  return listOf(listOf(listOf(reply)[0])[1]).map((item) => {
    const [entry, fields] = listOf(item);
    const [, previous, , collection, , id, , gone] = listOf(fields).map(String);
    const version = Number(String(entry).split('-')[0]);
    return {
      entry: String(entry),
      previous: Number(previous),
      collection: collection ?? '',
      change: { id: id ?? '', version },
      gone: gone === '1',
    };
  });
}
