import type { DatabaseSync } from 'node:sqlite';

/** What brings a file from the version of its index to the next one. Only ever appended to. */
const migrations: readonly string[] = [
  `create table documents (
     collection text not null,
     id text not null,
     value text not null,
     version integer not null,
     primary key (collection, id)
   ) strict, without rowid;
   create table fences (lease text primary key, token integer not null) strict, without rowid;
   create table sequence (only integer primary key check (only = 1), version integer not null) strict;
   insert into sequence values (1, 0);`,
  `create index documents_by_version on documents (collection, version);
   create table removals (collection text primary key, version integer not null) strict, without rowid;`,
];

/**
 * Brings the schema up to date inside the caller's transaction. The version stands in the file's
 * header (`user_version`), so it changes with the tables or not at all.
 */
export function migrate(database: DatabaseSync): void {
  const found = Number(database.prepare('pragma user_version').get()?.['user_version']);
  if (found > migrations.length) {
    throw new NewerSchema(`is of version ${found}, newer than this Podgate`);
  }
  for (const statements of migrations.slice(found)) database.exec(statements);
  database.exec(`pragma user_version = ${migrations.length}`);
}

/** Written by a later version: whatever this one made of it would lose something. */
export class NewerSchema extends Error {
  override readonly name = 'NewerSchema';
}
