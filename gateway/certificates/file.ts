import { hash } from 'node:crypto';
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Certificate } from '#contracts/certificate.ts';
import { zCertificate } from '#contracts/certificate.ts';
import type { Log } from '#contracts/log.ts';
import type { Typed } from '#contracts/store.ts';
import { HostIndex } from './host-index.ts';

const format = 2;
// Names apart from certificates: a start reads all names, and of certificates none.
const schema = `
  create table names (id text primary key, version integer not null, hosts text not null,
    not_after_ms integer not null) strict;
  create table certificates (id text primary key, digest text not null, value text not null) strict;
  create table place (only integer primary key check (only = 1), version integer not null) strict;
  insert into place values (1, 0);
  pragma user_version = ${format};`;
const busyMs = 1_000; // another gateway was given the same folder
// https://www.sqlite.org/rescode.html
const sqliteCorrupt = 11;
const sqliteNotADatabase = 26;

/** What changes at once, all or nothing. */
interface Changes {
  readonly puts?: readonly Typed<Certificate>[];
  readonly removals?: readonly string[];
  /** Everything in the store up to this version is in the file with it. */
  readonly version?: number;
}

/** A file that cannot be read is not a certificate's fault: it is begun anew, or done without. */
export function openCertificateFile(
  path: string,
  log: Log,
): { readonly file: CertificateFile; readonly index: HostIndex } {
  try {
    return opened(path, log);
  } catch (error) {
    const begun = isDamage(error) ? 'begun anew from the store' : 'kept in memory until a restart';
    log.error({ path, error: String(error) }, `certificates on disk cannot be used: ${begun}`);
    if (!isDamage(error)) return opened(inMemory, log);
    for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
    return opened(path, log);
  }
}

export const inMemory = ':memory:';

class Unusable extends Error {
  override readonly name = 'Unusable';
}

const isDamage = (error: unknown): boolean =>
  error instanceof Unusable ||
  (error instanceof Error &&
    'errcode' in error &&
    [sqliteCorrupt, sqliteNotADatabase].includes(Number(error.errcode) & 0xff));

function opened(path: string, log: Log): { file: CertificateFile; index: HostIndex } {
  if (path !== inMemory) makeFile(path);
  const database = new DatabaseSync(path, { timeout: busyMs });
  try {
    // A crash loses nothing; a power cut at most the newest, which the store has.
    database.exec('pragma journal_mode = wal; pragma synchronous = normal;');
    const found = Number(database.prepare('pragma user_version').get()?.['user_version']);
    if (found === 0) database.exec(`begin; ${schema} commit;`);
    else if (found !== format) throw new Unusable(`it is of version ${found}`);
    return { file: new CertificateFile(database, log), index: indexOf(database) };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** SQLite would let everybody read it; what it makes beside it has the mode of the file. */
function makeFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  if (existsSync(path)) chmodSync(path, 0o600);
  else closeSync(openSync(path, 'ax', 0o600));
}

function indexOf(database: DatabaseSync): HostIndex {
  const index = new HostIndex();
  for (const row of database.prepare('select * from names').iterate()) {
    const hosts = String(row['hosts']).split(' ');
    const notAfterMs = Number(row['not_after_ms']);
    index.put(String(row['id']), { version: Number(row['version']), hosts, notAfterMs });
  }
  return index;
}

/**
 * The store's certificates on disk, read one by one as they are wanted; their keys are sealed. What cannot
 * be written is held in memory and written with the next that can.
 */
export class CertificateFile {
  readonly #database: DatabaseSync;
  readonly #log: Log;
  readonly #statements: ReturnType<typeof prepareStatements>;
  /** Undefined: to be removed. */
  readonly #unwritten = new Map<string, Typed<Certificate> | undefined>();
  #version: number;

  constructor(database: DatabaseSync, log: Log) {
    this.#database = database;
    this.#log = log;
    this.#statements = prepareStatements(database);
    this.#version = Number(database.prepare('select version from place').get()?.['version']);
  }

  /** Of the store, up to which everything is here; 0: it was never read whole. */
  get version(): number {
    return this.#version;
  }

  /** Undefined: there is none, or none that can be read. */
  read(id: string): Certificate | undefined {
    if (this.#unwritten.has(id)) return this.#unwritten.get(id)?.value;
    try {
      const row = this.#statements.read.get(id);
      const text = String(row?.['value']);
      if (!row || digestOf(text) !== row['digest']) return undefined;
      return zCertificate.parse(JSON.parse(text));
    } catch (error) {
      this.#log.error({ certificate: id, error: String(error) }, 'certificate not read from disk');
      return undefined;
    }
  }

  /** What it takes in is read from then on, whether the disk takes it or not. */
  write({ puts = [], removals = [], version }: Changes): void {
    for (const put of puts) this.#unwritten.set(put.id, put);
    for (const id of removals) this.#unwritten.set(id, undefined);
    this.#version = version ?? this.#version;
    try {
      this.#flush();
    } catch (error) {
      this.#log.error({ error: String(error) }, 'certificates could not be saved');
      if (this.#database.isOpen && this.#database.isTransaction) this.#database.exec('rollback');
    }
  }

  close(): void {
    if (this.#unwritten.size > 0) this.write({});
    this.#database.close();
  }

  #flush(): void {
    const { putName, put, removeName, remove, place } = this.#statements;
    this.#database.exec('begin immediate');
    for (const [id, stored] of this.#unwritten) {
      if (stored) {
        const text = JSON.stringify(stored.value);
        const { hosts, notAfterMs } = stored.value;
        putName.run(id, stored.version, hosts.join(' '), notAfterMs);
        put.run(id, digestOf(text), text);
      } else {
        removeName.run(id);
        remove.run(id);
      }
    }
    place.run(this.#version);
    this.#database.exec('commit');
    this.#unwritten.clear();
  }
}

/** A certificate with a flipped bit would be refused by clients, not by us. */
const digestOf = (text: string): string => hash('sha256', text, 'base64');

function prepareStatements(database: DatabaseSync) {
  return {
    read: database.prepare('select digest, value from certificates where id = ?'),
    putName: database.prepare('insert or replace into names values (?, ?, ?, ?)'),
    put: database.prepare('insert or replace into certificates values (?, ?, ?)'),
    removeName: database.prepare('delete from names where id = ?'),
    remove: database.prepare('delete from certificates where id = ?'),
    place: database.prepare('update place set version = ?'),
  };
}
