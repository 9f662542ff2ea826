import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Change, Document, Expectation, Fence, Store } from '#contracts/store.ts';
import { FencedOff, WriteConflict } from '#contracts/store.ts';
import { ChangeFeed } from '../memory/change-feed.ts';

/** Another process holds the file. */
export class StoreInUse extends Error {
  override readonly name = 'StoreInUse';
}

/** The file is no database of Podgate, or a damaged or newer one. */
export class StoreDamaged extends Error {
  override readonly name = 'StoreDamaged';
}

const schemaVersion = 1;

const schema = `
  create table documents (
    collection text not null,
    id text not null,
    value text not null,
    version integer not null,
    primary key (collection, id)
  ) strict, without rowid;
  create table fences (lease text primary key, token integer not null) strict, without rowid;
  create table sequence (only integer primary key check (only = 1), version integer not null) strict;
  insert into sequence values (1, 0);
  pragma user_version = ${schemaVersion};
`;

interface Row {
  readonly id: string;
  readonly value: string;
  readonly version: number;
}

/**
 * Documents in one SQLite file that this process alone holds until it ends, however it ends.
 *
 * WAL with synchronous=FULL: a commit is on disk before it returns. The lock of
 * locking_mode=EXCLUSIVE belongs to the process, so SIGKILL frees it.
 */
export function openSqliteStore(file: string): Store & { close(): void } {
  // SQLite would make it readable by everyone; its -wal takes the mode of the file.
  closeSync(openSync(file, 'a', 0o600));
  chmodSync(file, 0o600);
  const database = new DatabaseSync(file);
  try {
    prepareFile(database);
  } catch (error) {
    database.close();
    throw explained(error, file);
  }
  return new SqliteStore(database);
}

function prepareFile(database: DatabaseSync): void {
  database.exec('pragma locking_mode = exclusive; pragma journal_mode = wal;');
  database.exec('pragma synchronous = full; pragma foreign_keys = on;');
  // The lock is taken with the first write transaction, not with the pragma.
  database.exec('begin exclusive');
  const found = Number(database.prepare('pragma user_version').get()?.['user_version']);
  if (found > schemaVersion) {
    throw new StoreDamaged(`is of version ${found}, newer than this Podgate`);
  }
  if (found === 0) database.exec(schema);
  database.exec('commit');
}

function explained(error: unknown, file: string): Error {
  const code = Number(Reflect.get(Object(error), 'errcode')) & 0xff;
  if (code === 5) return new StoreInUse(`${file} is held by another process`); // SQLITE_BUSY
  if (code === 11 || code === 26 || error instanceof StoreDamaged) {
    const reason = error instanceof Error ? error.message : String(error);
    return new StoreDamaged(`PODGATE_DATA_DIR: ${file} ${reason}: restore it from a backup`);
  }
  return error instanceof Error ? error : new Error(String(error));
}

class SqliteStore implements Store {
  readonly #database: DatabaseSync;
  readonly #feed = new ChangeFeed();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  close(): void {
    this.#database.close();
  }

  async get(collection: string, id: string): Promise<Document | undefined> {
    const row = this.#row(collection, id);
    return row && parsed(row);
  }

  async list(collection: string): Promise<readonly Document[]> {
    const rows = this.#database
      .prepare('select id, value, version from documents where collection = ? order by id')
      .all(collection);
    return rows.map((row) => parsed(rowOf(row)));
  }

  async put(
    collection: string,
    document: { readonly id: string; readonly value: unknown },
    expect: Expectation,
    fence?: Fence,
  ): Promise<number> {
    const value = JSON.stringify(document.value);
    const version = this.#write(collection, document.id, { expect, fence }, (next) => {
      this.#database
        .prepare(
          `insert into documents (collection, id, value, version) values (?, ?, ?, ?)
           on conflict do update set value = excluded.value, version = excluded.version`,
        )
        .run(collection, document.id, value, next);
      return true;
    });
    return version;
  }

  async remove(collection: string, id: string, expect: Expectation, fence?: Fence): Promise<void> {
    this.#write(collection, id, { expect, fence }, () => {
      const done = this.#database
        .prepare('delete from documents where collection = ? and id = ?')
        .run(collection, id);
      return done.changes > 0;
    });
  }

  watch(collection: string, signal: AbortSignal): AsyncIterable<Change> {
    return this.#feed.watch(collection, signal);
  }

  /** One transaction; watchers hear of it after the commit, and only if `change` changed something. */
  #write(
    collection: string,
    id: string,
    terms: { readonly expect: Expectation; readonly fence: Fence | undefined },
    change: (next: number) => boolean,
  ): number {
    this.#database.exec('begin immediate');
    let version: number;
    let changed: boolean;
    try {
      this.#allow(collection, id, terms.expect);
      if (terms.fence) this.#pass(terms.fence);
      const row = this.#database
        .prepare('update sequence set version = version + 1 returning version')
        .get();
      version = Number(row?.['version']);
      changed = change(version);
      this.#database.exec('commit');
    } catch (error) {
      this.#database.exec('rollback');
      throw error;
    }
    if (changed) this.#feed.publish(collection, { id, version });
    return version;
  }

  #row(collection: string, id: string): Row | undefined {
    const row = this.#database
      .prepare('select id, value, version from documents where collection = ? and id = ?')
      .get(collection, id);
    return row && rowOf(row);
  }

  #allow(collection: string, id: string, expect: Expectation): void {
    if (expect === 'anything') return;
    const stored = this.#row(collection, id);
    const conflict = expect === 'absent' ? stored : stored?.version !== expect.version;
    if (conflict) throw new WriteConflict(`${collection}/${id} was changed meanwhile`);
  }

  #pass(fence: Fence): void {
    const row = this.#database.prepare('select token from fences where lease = ?').get(fence.lease);
    if (row && Number(row['token']) > fence.token) {
      throw new FencedOff(`${fence.lease} has a newer holder`);
    }
    this.#database
      .prepare('insert into fences values (?, ?) on conflict do update set token = excluded.token')
      .run(fence.lease, fence.token);
  }
}

const rowOf = (row: Record<string, unknown>): Row => ({
  id: String(row['id']),
  value: String(row['value']),
  version: Number(row['version']),
});

const parsed = ({ id, value, version }: Row): Document => {
  const json: unknown = JSON.parse(value);
  return { id, value: json, version };
};
