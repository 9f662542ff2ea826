import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock as clock } from '#adapters/system/clock.ts';
import { AccessFile } from './access-file.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'podgate-access-'));
  path = join(folder, 'access.log');
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

const write = (file: AccessFile, lines: string): Promise<void> =>
  new Promise((resolve) => {
    file.write(lines, resolve);
  });

test('lines are appended to what is there, and nobody else may read them', async () => {
  fs.writeFileSync(path, 'before\n', { mode: 0o600 });
  await write(new AccessFile(path, clock), 'a\n');
  expect(fs.readFileSync(path, 'utf8')).toBe('before\na\n');
  const fresh = join(folder, 'fresh.log');
  await write(new AccessFile(fresh, clock), 'a\n');
  expect(fs.statSync(fresh).mode & 0o007).toBe(0);
});

test('after a rotation the next lines begin a new file', async () => {
  const file = new AccessFile(path, clock);
  await write(file, 'a\n');
  fs.renameSync(path, `${path}.1`);
  await write(file, 'b\n');
  expect(fs.readFileSync(`${path}.1`, 'utf8')).toBe('a\n');
  expect(fs.readFileSync(path, 'utf8')).toBe('b\n');
});

test('a folder that is gone costs no line that the old file can take', async () => {
  const file = new AccessFile(path, clock);
  fs.rmSync(folder, { recursive: true });
  await write(file, 'a\n');
  fs.mkdirSync(folder);
  await write(file, 'b\n');
  expect(fs.readFileSync(path, 'utf8')).toBe('b\n');
});

test('a pipe gets all lines, each whole, in writes that others cannot mix with', async () => {
  execFileSync('mkfifo', [path]);
  const reader = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  const long = `${'x'.repeat(5_000)}\n`;
  const lines = [...Array.from({ length: 500 }, (_, index) => `line ${index}\n`), long].join('');
  await write(new AccessFile(path, clock), lines);
  const bytes = Buffer.alloc(65_536);
  expect(bytes.toString('utf8', 0, fs.readSync(reader, bytes))).toBe(lines);
  fs.closeSync(reader);
});

test('a file that cannot be opened is an error at once', () => {
  expect(() => new AccessFile(join(folder, 'no', 'access.log'), clock)).toThrow('ENOENT');
});
