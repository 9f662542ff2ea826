import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Certificate } from '#contracts/certificate.ts';
import { zSealed } from '#contracts/sealer.ts';
import type { Typed } from '#contracts/store.ts';
import { openCertificateFile } from './file.ts';

let folder: string;
let path: string;
let errors: string[];
const opened: ReturnType<typeof openCertificateFile>[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podgate-certificates-'));
  path = join(folder, 'gateway', 'certificates.db');
  errors = [];
});
afterEach(() => {
  for (const { file } of opened.splice(0)) file.close();
  rmSync(folder, { recursive: true });
});

const log = {
  debug() {},
  info() {},
  warn() {},
  error: (_fields: object, message: string) => void errors.push(message),
};

function open(): ReturnType<typeof openCertificateFile> {
  const one = openCertificateFile(path, log);
  opened.push(one);
  return one;
}

function close(): void {
  for (const { file } of opened.splice(0)) file.close();
}

const stored = (id: string, version: number, ...hosts: string[]): Typed<Certificate> => ({
  id,
  version,
  value: {
    hosts,
    chain: `chain ${version} of "${id}"`,
    key: zSealed.parse('v1.a.b.c'),
    notBeforeMs: 0,
    notAfterMs: 1,
    renewAtMs: 1,
    issuer: 'test',
  },
});

/** Does to the file what a disk or an operator might. */
function behindItsBack(statements: string): void {
  const database = new DatabaseSync(path);
  database.exec(statements);
  database.close();
}

test('what was written is there at the next start, by name at once and whole when it is read', () => {
  const { file } = open();
  expect(file.version).toBe(0);
  const [a, b] = [stored('a', 1, 'a.test', '*.pods.a.test'), stored('b', 2, 'b.test')];
  file.write({ puts: [a, b, stored('gone', 3, 'c.test')] });
  file.write({ removals: ['gone', 'never'], version: 7 });
  close();
  const again = open();
  expect(again.file.version).toBe(7);
  expect([...again.index.ids()].toSorted()).toEqual(['a', 'b']);
  const hosts = ['a.test', '*.pods.a.test'];
  expect(again.index.get('a')).toEqual({ version: 1, hosts, notAfterMs: 1 });
  expect(again.file.read('a')).toEqual(a.value);
  expect(again.file.read('gone')).toBeUndefined();
  expect(errors).toEqual([]);
});

test('nobody else may read it', () => {
  const { file } = open();
  file.write({ puts: [stored('a', 1, 'a.test')] });
  for (const end of ['', '-wal', '-shm']) expect(statSync(path + end).mode & 0o777).toBe(0o600);
  close();
  chmodSync(path, 0o644);
  open();
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test.each([
  ['a changed letter', `update certificates set value = replace(value, 'chain 1', 'chain 2')`],
  ['a missing row', 'delete from certificates'],
  ['what is no certificate', `update certificates set value = '{}'`],
])('%s costs that certificate and no other', (_what, damage) => {
  open().file.write({ puts: [stored('a', 1, 'a.test'), stored('b', 1, 'b.test')] });
  behindItsBack(`${damage} where id = 'a'`);
  const { file, index } = open();
  expect(index.idOf('a.test')).toBe('a');
  expect(file.read('a')).toBeUndefined();
  expect(file.read('b')).toBeDefined();
  file.write({ puts: [stored('a', 2, 'a.test')] });
  expect(file.read('a')?.chain).toContain('chain 2');
});

test('a file that is none, or of another format, is begun anew', () => {
  open().file.write({ puts: [stored('a', 1, 'a.test')], version: 1 });
  close();
  writeFileSync(path, 'x'.repeat(10_000));
  const { file, index } = open();
  expect([file.version, index.size]).toEqual([0, 0]);
  file.write({ puts: [stored('b', 1, 'b.test')] });
  close();
  behindItsBack('pragma user_version = 99');
  expect(open().index.size).toBe(0);
  expect(errors).toHaveLength(2);
  expect(errors[0]).toMatch(/begun anew/);
});

test('without a place on disk they are in memory', () => {
  writeFileSync(join(folder, 'gateway'), 'no folder');
  const { file } = open();
  file.write({ puts: [stored('a', 1, 'a.test')] });
  expect(file.read('a')).toBeDefined();
  expect(errors[0]).toMatch(/kept in memory/);
  expect(readFileSync(join(folder, 'gateway'), 'utf8')).toBe('no folder');
});

test('what the disk does not take is used all the same, and written with the next that it takes', () => {
  const { file } = open();
  file.write({ puts: [stored('a', 1, 'a.test'), stored('b', 1, 'b.test')] });
  behindItsBack('alter table names rename to away');
  file.write({ puts: [stored('a', 2, 'a.test')], removals: ['b'], version: 2 });
  expect(errors).toEqual(['certificates could not be saved']);
  expect(file.read('a')?.chain).toContain('chain 2');
  expect(file.read('b')).toBeUndefined();
  behindItsBack('alter table away rename to names');
  file.write({ puts: [stored('c', 3, 'c.test')], version: 3 });
  close();
  const again = open();
  expect([...again.index.ids()].toSorted()).toEqual(['a', 'c']);
  expect(again.file.read('a')?.chain).toContain('chain 2');
  expect(again.file.version).toBe(3);
});

test('two gateways with one folder do not get into each other’s way', () => {
  const [one, two] = [open(), open()];
  one.file.write({ puts: [stored('a', 1, 'a.test')] });
  two.file.write({ puts: [stored('a', 2, 'a.test'), stored('b', 3, 'b.test')] });
  one.file.write({ removals: ['b'] });
  expect(one.file.read('a')?.chain).toContain('chain 2');
  expect(two.file.read('b')).toBeUndefined();
  expect(errors).toEqual([]);
});
