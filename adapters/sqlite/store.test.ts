import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FencedOff } from '#contracts/store.ts';
import { storeConforms } from '../../test/conformance/store.ts';
import { openSqliteStore, StoreDamaged, StoreInUse } from './store.ts';

let folder: string;
let file: string;
const opened: ReturnType<typeof openSqliteStore>[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podgate-sqlite-'));
  file = join(folder, 'podgate.db');
});
afterEach(() => {
  for (const store of opened.splice(0)) store.close();
  rmSync(folder, { recursive: true });
});

function open(): ReturnType<typeof openSqliteStore> {
  const store = openSqliteStore(file);
  opened.push(store);
  return store;
}

storeConforms('SqliteStore', async () => open());

const moduleUrl = new URL('store.ts', import.meta.url).href;
const node = process.execPath;
const canTrace = spawnSync('strace', ['-f', 'true']).status === 0;
const inChild = (code: string): string[] => [
  '--input-type=module',
  '-e',
  `const { openSqliteStore } = await import(${JSON.stringify(moduleUrl)});\n${code}`,
  file,
];

test('everything is there after closing and opening again', async () => {
  const first = open();
  const version = await first.put('pods', { id: 'a', value: { port: 1 } }, 'absent');
  first.close();
  first.close();
  const second = open();
  expect(await second.get('pods', 'a')).toEqual({ id: 'a', value: { port: 1 }, version });
  expect(await second.put('pods', { id: 'b', value: 1 }, 'absent')).toBeGreaterThan(version);
});

test('a version is not given again, even if what had it is gone', async () => {
  const first = open();
  const version = await first.put('pods', { id: 'a', value: 1 }, 'absent');
  await first.remove('pods', 'a', 'anything');
  first.close();
  expect(await open().put('pods', { id: 'a', value: 1 }, 'absent')).toBeGreaterThan(version);
});

test('fences outlive the process, and the newest token is known', async () => {
  const first = open();
  expect(first.newestToken()).toBe(0);
  await first.put('pods', { id: 'a', value: 1 }, 'anything', { lease: 'leader', token: 7 });
  await first.put('pods', { id: 'a', value: 1 }, 'anything', { lease: 'certs', token: 3 });
  first.close();
  const second = open();
  expect(second.newestToken()).toBe(7);
  await expect(
    second.put('pods', { id: 'a', value: 2 }, 'anything', { lease: 'leader', token: 6 }),
  ).rejects.toThrow(FencedOff);
});

test('a refused write leaves no trace of its token', async () => {
  const store = open();
  await store.put('pods', { id: 'a', value: 1 }, 'absent');
  await store
    .put('pods', { id: 'a', value: 2 }, 'absent', { lease: 'leader', token: 9 })
    .catch(() => undefined);
  expect(store.newestToken()).toBe(0);
});

test('only its owner can read the files, also when the mode was another', async () => {
  writeFileSync(file, '', { mode: 0o644 });
  chmodSync(file, 0o644);
  await open().put('pods', { id: 'a', value: 1 }, 'absent');
  const names = readdirSync(folder);
  expect(names).toEqual(['podgate.db', 'podgate.db-wal']);
  for (const name of names) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
});

test('nobody else opens it, neither in this process nor in another, until it is closed', async () => {
  const store = open();
  expect(() => openSqliteStore(file)).toThrow(StoreInUse);
  const code = `try { openSqliteStore(process.argv[1]).close(); console.log('opened'); } catch (error) { console.log(error.name); }`;
  const tryInChild = (): string =>
    spawnSync(node, inChild(code), { encoding: 'utf8', timeout: 20_000 }).stdout.trim();
  expect(tryInChild()).toBe('StoreInUse');
  // The refused ones have taken nothing from the one that holds it.
  await store.put('pods', { id: 'a', value: 1 }, 'absent');
  expect(tryInChild()).toBe('StoreInUse');
  store.close();
  expect(tryInChild()).toBe('opened');
}, 60_000);

test('every write that was acknowledged is there after SIGKILL', async () => {
  const code = `
    const store = openSqliteStore(process.argv[1]);
    for (let i = 0; ; i += 1) {
      await store.put('pods', { id: 'id-' + i % 50, value: { i, fill: 'x'.repeat(500) } }, 'anything');
      process.stdout.write(i + '\\n');
    }`;
  for (let round = 0; round < 5; round += 1) {
    const child = spawn(node, inChild(code), { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    let acknowledged = -1;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Number(line);
      if (acknowledged === 60 + round * 97) child.kill('SIGKILL');
    }
    await ended;
    expect(child.signalCode).toBe('SIGKILL');
    const store = open();
    const newest = new Map(
      (await store.list('pods')).map(({ id, value }) => [id, (value as { i: number }).i]),
    );
    store.close();
    for (let i = Math.max(0, acknowledged - 49); i <= acknowledged; i += 1) {
      expect(newest.get(`id-${i % 50}`)).toBeGreaterThanOrEqual(i);
    }
  }
}, 120_000);

test.skipIf(!canTrace)(
  'every commit is synced before it is acknowledged: a power cut loses nothing (needs strace)',
  () => {
    const writes = 20;
    const code = `
      const store = openSqliteStore(process.argv[1]);
      for (let i = 0; i < ${writes}; i += 1) {
        await store.put('pods', { id: 'a', value: i }, 'anything');
        process.getBuiltinModule('node:fs').writeSync(1, 'acknowledged ' + i);
      }`;
    const argv = ['-f', '-e', 'trace=fsync,fdatasync,write', node, ...inChild(code)];
    const { stderr } = spawnSync('strace', argv, { encoding: 'utf8', timeout: 60_000 });
    const marks = [...stderr.matchAll(/f(?:data)?sync\(|"acknowledged \d+"/g)].map(
      ([mark]) => mark,
    );
    const acknowledged = marks.flatMap((mark, index) => (mark.startsWith('"') ? [index] : []));
    expect(acknowledged).toHaveLength(writes);
    for (const index of acknowledged) expect(marks[index - 1]).toMatch(/sync/);
  },
  90_000,
);

test('a file that is no database is refused by name and left as it is', () => {
  const text = 'a shopping list, not a database\n'.repeat(200);
  writeFileSync(file, text);
  expect(() => openSqliteStore(file)).toThrow(StoreDamaged);
  expect(() => openSqliteStore(file)).toThrow(/PODGATE_DATA_DIR: .*podgate\.db is damaged/);
  expect(statSync(file).size).toBe(text.length);
});

test('a file with a broken or missing part is refused on opening, not met later', async () => {
  const store = open();
  for (let i = 0; i < 200; i += 1)
    await store.put('pods', { id: `id-${i}`, value: 'x'.repeat(1000) }, 'anything');
  store.close();
  const { size } = statSync(file);
  truncateSync(file, Math.floor(size / 2 / 4096) * 4096);
  expect(() => openSqliteStore(file)).toThrow(StoreDamaged);
});

test('one garbled page deep inside is found on opening', async () => {
  const store = open();
  for (let i = 0; i < 2000; i += 1)
    await store.put('pods', { id: `id-${i}`, value: 'x'.repeat(1000) }, 'anything');
  store.close();
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.alloc(4096, 0xa5), 0, 4096, 300 * 4096);
  closeSync(fd);
  expect(() => openSqliteStore(file)).toThrow(StoreDamaged);
}, 60_000);

test('a file of a newer Podgate is refused and left as it is', () => {
  open().close();
  const database = new DatabaseSync(file);
  database.exec('pragma user_version = 99');
  database.close();
  expect(() => openSqliteStore(file)).toThrow(/version 99, newer than this Podgate/);
  const again = new DatabaseSync(file);
  expect(again.prepare('pragma user_version').get()).toEqual({ user_version: 99 });
  again.close();
});

test('a file of an earlier Podgate keeps what it holds', async () => {
  const first = open();
  await first.put('pods', { id: 'a', value: 1 }, 'absent');
  first.close();
  const database = new DatabaseSync(file);
  database.exec('drop index documents_by_version; drop table removals; pragma user_version = 1');
  database.close();
  const store = open();
  const { version } = await store.changesSince('pods', 0);
  await store.put('pods', { id: 'b', value: 2 }, 'absent');
  await store.remove('pods', 'a', 'anything');
  expect(await store.changesSince('pods', version)).toMatchObject({
    written: [{ id: 'b', value: 2 }],
    ids: ['b'],
  });
});

test('a place that cannot be used gives the error of the system', () => {
  expect(() => openSqliteStore(join(folder, 'missing', 'podgate.db'))).toThrow(/ENOENT/);
  expect(() => openSqliteStore(folder)).toThrow(/EEXIST/);
});

test('a file that is begun anew gives no version of the one before again', async () => {
  const version = await open().put('pods', { id: 'a', value: 1 }, 'absent');
  rmSync(folder, { recursive: true });
  mkdirSync(folder);
  expect(await open().put('pods', { id: 'a', value: 1 }, 'absent')).toBeGreaterThan(version);
});
