import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SealBroken } from '#contracts/sealer.ts';
import { sealerConforms } from '../../test/conformance/sealer.ts';
import { BadKeyFile, openSealer } from './sealer.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podgate-sealer-'));
  file = join(folder, 'secret.key');
});
afterEach(() => rmSync(folder, { recursive: true }));

sealerConforms('openSealer', () => openSealer(file));

const keyLine = (id: string): string => `${id} ${randomBytes(32).toString('base64url')}\n`;
const write = (text: string): void => writeFileSync(file, text, { mode: 0o600 });

test('the file is made for its owner alone, whole, and nothing is left beside it', () => {
  openSealer(file);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file, 'utf8')).toMatch(/^[0-9a-f]{8} [\w-]{43}\n$/);
  expect(readdirSync(folder)).toEqual(['secret.key']);
});

test('two installations have different keys', () => {
  openSealer(file);
  openSealer(join(folder, 'other'));
  expect(readFileSync(file, 'utf8')).not.toBe(readFileSync(join(folder, 'other'), 'utf8'));
});

test('a file that is there is not changed', () => {
  write(keyLine('a') + keyLine('b'));
  const before = readFileSync(file, 'utf8');
  openSealer(file);
  expect(readFileSync(file, 'utf8')).toBe(before);
});

test('the first line seals, every line opens, and a line taken away opens no more', () => {
  const [old, young] = [keyLine('old'), keyLine('young')];
  write(old);
  const sealed = openSealer(file).seal('x', 'c');
  write(young + old);
  const rotated = openSealer(file);
  expect(rotated.open(sealed, 'c')).toBe('x');
  expect(rotated.seal('x', 'c')).toMatch(/^v1\.young\./);
  write(young);
  expect(() => openSealer(file).open(sealed, 'c')).toThrow(SealBroken);
});

test('another key under the same id does not open', () => {
  write(keyLine('a'));
  const sealed = openSealer(file).seal('x', 'c');
  write(keyLine('a'));
  expect(() => openSealer(file).open(sealed, 'c')).toThrow(SealBroken);
});

test.each([0o640, 0o604, 0o660, 0o644])('mode %o is refused with the way out', (mode) => {
  write(keyLine('a'));
  chmodSync(file, mode);
  expect(() => openSealer(file)).toThrow(BadKeyFile);
  expect(() => openSealer(file)).toThrow(/PODGATE_SECRET_KEY_FILE .*secret\.key .*chmod 600/);
});

test.each([
  ['nothing', ''],
  ['no key', 'a\n'],
  ['a short key', `a ${randomBytes(31).toString('base64url')}\n`],
  ['a long key', `a ${randomBytes(33).toString('base64url')}\n`],
  ['a key with a foreign character', `a ${'!'.repeat(43)}\n`],
  ['a bad id', `a.b ${randomBytes(32).toString('base64url')}\n`],
  ['a third word', `${keyLine('a').trim()} more\n`],
  ['one id twice', keyLine('a') + keyLine('a')],
  ['a broken second line', `${keyLine('a')}garbage\n`],
])('a file with %s is refused, named, and its content not repeated', (_what, text) => {
  write(text);
  expect(() => openSealer(file)).toThrow(BadKeyFile);
  expect(() => openSealer(file)).toThrow(file);
  for (const word of text.split(/\s+/).filter((part) => part.length > 20)) {
    expect(() => openSealer(file)).not.toThrow(word);
  }
  expect(readFileSync(file, 'utf8')).toBe(text);
});

test('a folder that is not there is an error of the key file, not of something else', () => {
  const missing = join(folder, 'missing', 'secret.key');
  expect(() => openSealer(missing)).toThrow(BadKeyFile);
  expect(existsSync(missing)).toBe(false);
});

test('a folder in its place is an error of the key file', () => {
  expect(() => openSealer(folder)).toThrow(BadKeyFile);
});
