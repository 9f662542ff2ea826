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
 * Reads the stream of changes from the first `watch` on, on one connection for all watchers.
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
  /** Undefined: nobody knows what was missed. */
  #position: Position | undefined;
  #following = false;
  #beginning: Promise<void> = Promise.resolve();

  constructor(ports: ChangeStreamPorts) {
    this.#ports = ports;
  }

  /** Resolves when the watches that were asked for have begun: what is sent from then on is seen. */
  get begun(): Promise<void> {
    return this.#beginning;
  }

  watch(collection: string, signal: AbortSignal): AsyncIterable<Change> {
    const changes = this.#feed.watch(collection, signal);
    if (!this.#known.has(collection)) {
      // From here on, so that what is read of the stream while the ids are asked for is not lost.
      this.#known.set(collection, new Set());
      this.#beginning = this.#beginning.then(() => this.#begin(collection));
    }
    return changes;
  }

  close(): void {
    this.#ended.abort();
  }

  async #begin(collection: string): Promise<void> {
    try {
      const { position, ids } = await this.#look([collection]);
      if (!this.#following) this.#position = position;
      for (const id of ids.get(collection) ?? []) this.#known.get(collection)?.add(id);
    } catch (error) {
      // Then nobody knows what was missed, and the stream begins with a look at everything.
      this.#position = undefined;
      this.#ports.log.warn({ collection, error: String(error) }, 'a watch begins late');
    }
    if (!this.#following) void this.#follow();
    this.#following = true;
  }

  async #follow(): Promise<void> {
    const { clock, log } = this.#ports;
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        if (this.#position) await this.#readOn(this.#position);
        else await this.#reportAll();
      } catch (error) {
        if (signal.aborted) return;
        log.debug({ error: String(error) }, 'changes could not be read; trying again');
        await clock.sleep(againMs, signal).catch(() => undefined);
      }
    }
  }

  async #readOn({ entry }: Position): Promise<void> {
    const { waiting, log } = this.#ports;
    const last = await waiting.repeat((client) => client.xrange(changesKey, entry, entry));
    const forgotten = entry !== '0-0' && last.length === 0;
    const later = forgotten ? [] : await waiting.repeat((client) => readAfter(client, entry));
    if (forgotten || !this.#take(entriesOf(later))) {
      this.#position = undefined;
      log.info({}, 'changes were missed; looking at everything');
    }
  }

  /** False when something between the position and these entries is missing. */
  #take(entries: readonly Entry[]): boolean {
    for (const { entry, previous, collection, change, gone } of entries) {
      if (previous !== this.#position?.version) return false;
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
    for (const collection of collections) {
      const now = ids.get(collection) ?? [];
      const { version } = position;
      for (const id of new Set([...now, ...(this.#known.get(collection) ?? [])])) {
        this.#feed.publish(collection, { id, version });
      }
      this.#known.set(collection, new Set(now));
    }
    this.#position = position;
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
