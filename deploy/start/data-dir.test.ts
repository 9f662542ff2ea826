import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeDataDir } from './data-dir.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podgate-data-dir-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('it is made with all that it is in, and may be there already', () => {
  const dir = join(folder, 'a', 'b', 'c');
  for (let time = 0; time < 2; time += 1) makeDataDir(dir, 0o711);
  expect(statSync(dir).mode & 0o777).toBe(0o711);
});

test('where a file is in the way the system says so', () => {
  writeFileSync(join(folder, 'file'), '');
  expect(() => makeDataDir(join(folder, 'file', 'data'), 0o711)).toThrow('ENOTDIR');
});

test.runIf(process.platform === 'linux')(
  'below /proc it cannot be, and nobody waits for ever',
  () => {
    expect(() => makeDataDir('/proc/podgate/data', 0o711)).toThrow(
      'PODGATE_DATA_DIR: in /proc no directory can be made, choose another place',
    );
  },
);
