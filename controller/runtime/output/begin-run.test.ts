import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { beginRun } from './begin-run.ts';
import { LogFiles } from './log-files.ts';
import { takeSnapshot } from './snapshot.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podgate-begin-run-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(words: string, atMs = 1_000): void {
  const files = new LogFiles(folder, () => atMs);
  files.append(Buffer.from(words));
  files.close();
}

async function text(sinceMs = 0): Promise<string> {
  await using kept = await takeSnapshot(folder);
  return (await kept.read(await kept.startOf({ sinceMs }), kept.end)).toString();
}

test('nothing parts the first output from nothing', async () => {
  expect(await beginRun(join(folder, 'none'), { run: 1, nowMs: 0 })).toBe(0);
  expect(await beginRun(folder, { run: 7, nowMs: 0 })).toBe(0);
  expect(await text()).toBe('');
});

test.each(['one\n', 'one'])(
  'a line parts a run from what was written before: %j',
  async (before) => {
    write(before);
    const start = await beginRun(folder, { run: 2, nowMs: 60_000 });
    write('two\n', 61_000);
    expect(await text()).toBe('one\n--- run 2 ---\ntwo\n');
    expect(start).toBe('one\n--- run 2 ---\n'.length);
    // A line that it ends was written then, too.
    expect(await text(60_000)).toMatch(/--- run 2 ---\ntwo\n$/);
  },
);

test('a run that is tried again is parted once', async () => {
  write('one\n');
  for (const run of [2, 2, 3, 3]) await beginRun(folder, { run, nowMs: 1_000 });
  expect(await text()).toBe('one\n--- run 2 ---\n--- run 3 ---\n');
});
