import { chmodSync, closeSync, openSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import type { Change, Delta, Document, Expectation, Fence, Page, Store } from '#contracts/store.ts';
import { ChangeFeed } from '../memory/change-feed.ts';
import { checkExpectation, checkFence, jsonText } from '../memory/store.ts';
import { migrate, NewerSchema } from './schema.ts';

/** Another process, or another store of this one, holds the file. */
export class StoreInUse extends Error {
  override readonly name = 'StoreInUse';
}

/** The file is no database of Podgate, or a damaged or newer one. */
export class StoreDamaged extends Error {
  override readonly name = 'StoreDamaged';
}

// https://www.sqlite.org/rescode.html; extended codes carry these in their low byte.
const sqliteBusy = 5;
const sqliteCorrupt = 11;
const sqliteNotADatabase = 26;

const pageSize = 250; // a few milliseconds each, and others get their turn between

/**
 * Documents in one SQLite file that this process alone holds until it ends, however it ends.
 *
 * WAL with synchronous=FULL: a commit is on disk before it returns. The lock of
 * locking_mode=EXCLUSIVE belongs to the process, so SIGKILL frees it. Throws `StoreInUse`,
 * `StoreDamaged`, or the system's error when the place cannot be used.
 */
export function openSqliteStore(file: string): SqliteStore {
  makeFile(file);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file);
    prepareFile(database);
    return new SqliteStore(database, file);
  } catch (error) {
    database?.close();
    throw explained(error, file);
  }
}

/** SQLite would make it readable by everyone; its -wal takes the mode of the file. */
function makeFile(file: string): void {
  if (statSync(file, { throwIfNoEntry: false })?.isFile()) {
    // By name: closing a descriptor of the file would drop the locks this process has on it.
    chmodSync(file, 0o600);
  } else {
    closeSync(openSync(file, 'ax', 0o600));
  }
}

function prepareFile(database: DatabaseSync): void {
  // Exclusive before WAL: then there is no shared memory file, and the lock stays until the end.
  database.exec('pragma locking_mode = exclusive; pragma journal_mode = wal;');
  // Without fullfsync macOS leaves a commit in the drive's cache.
  database.exec('pragma synchronous = full; pragma fullfsync = on;');
  database.exec('pragma checkpoint_fullfsync = on;');
  // The lock is taken with the first write transaction, not with the pragma.
  database.exec('begin exclusive');
  const [problem] = Object.values(database.prepare('pragma quick_check(1)').get() ?? {});
  if (problem !== 'ok') throw new StoreDamaged(String(problem));
  migrate(database);
  database.exec('commit');
}

function explained(error: unknown, file: string): unknown {
  if (!(error instanceof Error)) return error;
  const { message } = error;
  const code = 'errcode' in error ? Number(error.errcode) & 0xff : 0;
  if (code === sqliteBusy) return new StoreInUse(`${file} is held by another process`);
  if (error instanceof NewerSchema) {
    return new StoreDamaged(`PODGATE_DATA_DIR: ${file} ${message}: start that version`);
  }
  if (code === sqliteCorrupt || code === sqliteNotADatabase || error instanceof StoreDamaged) {
    const text = `PODGATE_DATA_DIR: ${file} is damaged (${message}): restore it from a backup`;
    return new StoreDamaged(text, { cause: error });
  }
  return error;
}

class SqliteStore implements Store {
  readonly #database: DatabaseSync;
  readonly #file: string;
  readonly #feed = new ChangeFeed();
  readonly #statements: ReturnType<typeof prepareStatements>;

  constructor(database: DatabaseSync, file: string) {
    this.#database = database;
    this.#file = file;
    this.#statements = prepareStatements(database);
  }

  async get(collection: string, id: string): Promise<Document | undefined> {
    return this.#guarded(() => {
      const row = this.#statements.get.get(collection, id);
      return row && documentOf(row);
    });
  }

  async list(collection: string): Promise<readonly Document[]> {
    return this.#guarded(() =>
      this.#statements.list
        .all(collection)
        .map(documentOf)
        // Not `order by`: SQLite compares UTF-8 bytes, which is not code-unit order beyond U+FFFF.
        .toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    );
  }

  async ids(collection: string): Promise<readonly string[]> {
    return this.#guarded(() => this.#idsOf(collection));
  }

  async changesSince(collection: string, since: number): Promise<Delta> {
    // Statements without an await between them: nobody else can write to the file.
    return this.#guarded(() => {
      const { written, removal, current } = this.#statements;
      const removedAt = numberIn(removal.get(collection), 'version') ?? 0;
      return {
        written: written.all(collection, since).map(documentOf),
        ids: removedAt > since ? this.#idsOf(collection) : undefined,
        version: numberIn(current.get(), 'version') ?? 0,
      };
    });
  }

  async *pagesSince(collection: string, since: number): AsyncGenerator<Page> {
    const { page, current } = this.#statements;
    for (let after = since; ; await setImmediate()) {
      const rows = this.#guarded(() => page.all(collection, after, pageSize));
      const version = this.#guarded(() => numberIn(current.get(), 'version') ?? 0);
      const written = rows.map(documentOf);
      yield { written, version };
      if (written.length < pageSize) return;
      after = written.at(-1)?.version ?? after;
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
    const version = this.#transaction(() => {
      this.#allow(collection, id, expect, fence);
      const next = this.#nextVersion();
      this.#statements.put.run(collection, id, text, next);
      return next;
    });
    this.#feed.publish(collection, { id, version });
    return version;
  }

  async remove(collection: string, id: string, expect: Expectation, fence?: Fence): Promise<void> {
    const version = this.#transaction(() => {
      this.#allow(collection, id, expect, fence);
      const { changes } = this.#statements.remove.run(collection, id);
      if (changes === 0) return undefined;
      const next = this.#nextVersion();
      this.#statements.setRemoval.run(collection, next);
      return next;
    });
    if (version !== undefined) this.#feed.publish(collection, { id, version });
  }

  watch(collection: string, signal: AbortSignal): AsyncIterable<Change> {
    return this.#feed.watch(collection, signal);
  }

  /** The newest token of any lease that has written: leases of a new process go on after it. */
  newestToken(): number {
    return this.#guarded(() => numberIn(this.#statements.newestToken.get(), 'token') ?? 0);
  }

  /** Frees the file; once is enough. Watchers end with their own signals, other calls now fail. */
  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #idsOf(collection: string): string[] {
    return this.#statements.ids.all(collection).map(({ id }) => String(id));
  }

  #allow(collection: string, id: string, expect: Expectation, fence: Fence | undefined): void {
    if (fence) {
      checkFence(fence, numberIn(this.#statements.fence.get(fence.lease), 'token'));
      this.#statements.setFence.run(fence.lease, fence.token);
    }
    const version = numberIn(this.#statements.version.get(collection, id), 'version');
    checkExpectation(`${collection}/${id}`, expect, version);
  }

  #nextVersion(): number {
    return Number(this.#statements.next.get()?.['version']);
  }

  /** All or nothing, and on the disk when it returns. */
  #transaction<T>(work: () => T): T {
    return this.#guarded(() => {
      this.#database.exec('begin immediate');
      try {
        const result = work();
        this.#database.exec('commit');
        return result;
      } catch (error) {
        // On some errors, a full disk among them, SQLite has rolled back already.
        if (this.#database.isTransaction) this.#database.exec('rollback');
        throw error;
      }
    });
  }

  #guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw explained(error, this.#file);
    }
  }
}

function prepareStatements(database: DatabaseSync) {
  const place = 'collection = ? and id = ?';
  return {
    get: database.prepare(`select id, value, version from documents where ${place}`),
    list: database.prepare('select id, value, version from documents where collection = ?'),
    written: database.prepare(
      'select id, value, version from documents where collection = ? and version > ?',
    ),
    page: database.prepare(
      `select id, value, version from documents where collection = ? and version > ?
       order by version limit ?`,
    ),
    ids: database.prepare('select id from documents where collection = ?'),
    removal: database.prepare('select version from removals where collection = ?'),
    setRemoval: database.prepare(
      'insert into removals values (?, ?) on conflict do update set version = excluded.version',
    ),
    current: database.prepare('select version from sequence'),
    version: database.prepare(`select version from documents where ${place}`),
    put: database.prepare(
      `insert into documents (collection, id, value, version) values (?, ?, ?, ?)
       on conflict do update set value = excluded.value, version = excluded.version`,
    ),
    remove: database.prepare(`delete from documents where ${place}`),
    // By the clock in microseconds: a file that is begun anew does not give versions of the one before again.
    next: database.prepare(
      `update sequence set version = max(version + 1, cast(unixepoch('subsec') * 1000000 as integer))
       returning version`,
    ),
    fence: database.prepare('select token from fences where lease = ?'),
    setFence: database.prepare(
      'insert into fences values (?, ?) on conflict do update set token = excluded.token',
    ),
    newestToken: database.prepare('select max(token) as token from fences'),
  };
}

type Row = Readonly<Record<string, unknown>>;

const numberIn = (row: Row | undefined, column: string): number | undefined =>
  row && Number(row[column]);

const documentOf = (row: Row): Document => ({
  id: String(row['id']),
  value: JSON.parse(String(row['value'])),
  version: Number(row['version']),
});
