import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import type { LogPiece, LogStart, LogWindow } from '#contracts/logs.ts';
import { LogFiles } from './log-files.ts';
import { followOutput } from './follow.ts';
import { pieceBytesMax } from './reader.ts';
import { entryBytes, segmentBytesMax, timesFile } from './segments.ts';
import { takeSnapshot } from './snapshot.ts';

/** What the shim writes and what is read of it, with a clock of our own. */

const folders: string[] = [];
const never = new AbortController().signal;
let nowMs = 0;

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function open(): { folder: string; write: (text: string | Buffer, atMs?: number) => void } {
  const folder = mkdtempSync(join(tmpdir(), 'podgate-output-'));
  folders.push(folder);
  nowMs = 1_000_000;
  const files = new LogFiles(folder, () => nowMs);
  const write = (text: string | Buffer, atMs = nowMs): void => {
    nowMs = atMs;
    files.append(Buffer.from(text));
  };
  return { folder, write };
}

async function read(folder: string, window: LogWindow = {}): Promise<string> {
  await using kept = await takeSnapshot(folder);
  return (await kept.read(await kept.startOf(window), kept.end)).toString();
}

/** What a follower gets without waiting. */
async function gets(folder: string, start: LogStart = {}): Promise<LogPiece[]> {
  const terms = { clock: systemClock, signal: never, removed: AbortSignal.abort() };
  return Array.fromAsync(followOutput(folder, start, terms));
}

describe('the newest lines', () => {
  test.each([
    [1, 'c\n'],
    [2, 'b\nc\n'],
    [3, 'a\nb\nc\n'],
    [4, 'a\nb\nc\n'],
    [0, ''],
  ])('%i of three', async (tail, want) => {
    const { folder, write } = open();
    write('a\nb\nc\n');
    expect(await read(folder, { tail })).toBe(want);
  });

  test('count a line without an end, and empty ones', async () => {
    const { folder, write } = open();
    write('a\n\nb');
    expect(await read(folder, { tail: 1 })).toBe('b');
    expect(await read(folder, { tail: 2 })).toBe('\nb');
  });

  test('are found over many blocks and segments', async () => {
    const { folder, write } = open();
    const long = `${'x'.repeat(segmentBytesMax - 10)}\n`;
    write('first\n');
    write(long);
    write('last\n');
    expect(await read(folder, { tail: 2 })).toBe(`${long}last\n`);
    expect(await read(folder, { tail: 3 })).toBe(`first\n${long}last\n`);
  });

  test('of nothing are nothing', async () => {
    expect(await read('/no/such/folder', { tail: 3, sinceMs: 1 })).toBe('');
  });
});

describe('what was written since', () => {
  test('begins with the line whose end was written since, at most a second too early', async () => {
    const { folder, write } = open();
    write('a\n', 10_000);
    write('b\n', 10_900);
    write('c\nd', 11_500);
    write('e\n', 20_000);
    expect(await read(folder, { sinceMs: 0 })).toBe('a\nb\nc\nde\n');
    expect(await read(folder, { sinceMs: 10_999 })).toBe('a\nb\nc\nde\n');
    expect(await read(folder, { sinceMs: 11_000 })).toBe('c\nde\n');
    expect(await read(folder, { sinceMs: 19_000 })).toBe('de\n');
    expect(await read(folder, { sinceMs: 20_999 })).toBe('de\n');
    expect(await read(folder, { sinceMs: 21_000 })).toBe('');
  });

  test('reaches into the segment before', async () => {
    const { folder, write } = open();
    write('old\n', 10_000);
    write('newer\n', 20_000);
    write('x'.repeat(segmentBytesMax), 30_000);
    expect((await read(folder, { sinceMs: 20_000 })).slice(0, 7)).toBe('newer\nx');
    expect((await read(folder, { sinceMs: 30_000 })).length).toBe(segmentBytesMax);
  });

  test('is told by the newest entries when the clock was set back', async () => {
    const { folder, write } = open();
    write('tomorrow\n', 90_000_000);
    write('today\n', 10_000);
    write('later\n', 12_000);
    expect(await read(folder, { sinceMs: 11_500 })).toBe('later\n');
  });

  test('costs an entry a second, and another writer goes on after half of one', async () => {
    const { folder, write } = open();
    for (let ms = 0; ms < 5_000; ms += 10) write('x\n', 1_000_000 + ms);
    expect(statSync(timesFile(folder, 0)).size).toBe(5 * entryBytes);
    writeFileSync(timesFile(folder, 0), 'half', { flag: 'a' });
    new LogFiles(folder, () => 2_000_000).append(Buffer.from('next\n'));
    expect(await read(folder, { sinceMs: 2_000_000 })).toBe('next\n');
    expect(await read(folder, { sinceMs: 1_004_000, tail: 2 })).toBe('x\nnext\n');
  });
});

describe('segments', () => {
  test('two are kept, each byte at its position', async () => {
    const { folder, write } = open();
    const chunk = 'y'.repeat(segmentBytesMax - 1);
    for (const end of ['1', '2', '3', '4']) write(`${chunk}${end}`);
    expect(readdirSync(folder).toSorted()).toEqual([
      'output.10000000',
      'output.15000000',
      'times.10000000',
      'times.15000000',
    ]);
    await using kept = await takeSnapshot(folder);
    expect([kept.start, kept.end]).toEqual([10_000_000, 20_000_000]);
    write('5');
    expect((await kept.read(14_999_999, 15_000_001)).toString()).toBe('3y');
  });
});

describe('a follower', () => {
  test('gets pieces of a bounded size, in whole characters', async () => {
    const { folder, write } = open();
    const text = 'a\u00e9\u20ac\u{1f600}'.repeat(40_000);
    write(text);
    const pieces = await gets(folder);
    expect(pieces.length).toBeGreaterThan(5);
    expect(Math.max(...pieces.map((piece) => Buffer.byteLength(piece.text)))).toBeLessThanOrEqual(
      pieceBytesMax,
    );
    expect(pieces.map((piece) => piece.text).join('') === text).toBe(true);
    const [, second] = pieces;
    const rest = await gets(folder, { after: second?.cursor ?? '' });
    expect(rest).toEqual(pieces.slice(2));
  });

  test('waits for the rest of a character, and not for what is none', async () => {
    const { folder, write } = open();
    const euro = Buffer.from('\u20ac');
    write(euro.subarray(0, 2));
    expect(await gets(folder)).toEqual([]);
    write(euro.subarray(2));
    write(Buffer.from([0x80, 0x80, 0x80, 0x80]));
    expect(await gets(folder)).toEqual([
      { text: `\u20ac${'\ufffd'.repeat(4)}`, cursor: '7', gap: false },
    ]);
  });

  test('that stays behind meets one gap, and goes on with what is kept', async () => {
    const { folder, write } = open();
    write('first\n');
    const terms = { clock: systemClock, signal: never, removed: never };
    const pieces = followOutput(folder, {}, terms);
    expect((await pieces.next()).value).toEqual({ text: 'first\n', cursor: '6', gap: false });
    for (let round = 0; round < 3; round += 1) write('x'.repeat(segmentBytesMax));
    write('end');
    const rest: LogPiece[] = [];
    while (!rest.at(-1)?.text.endsWith('end')) {
      const { value } = await pieces.next();
      if (value) rest.push(value);
    }
    await pieces.return(undefined);
    expect(rest.map(({ gap }) => gap)).toEqual(rest.map((_piece, index) => index === 0));
    expect(rest.map(({ text }) => text).join('')).toHaveLength(segmentBytesMax + 3);
  });

  test('that keeps up crosses segments without a gap', async () => {
    const { folder, write } = open();
    const terms = { clock: systemClock, signal: never, removed: never };
    const pieces = followOutput(folder, {}, terms);
    let got = 0;
    for (let round = 0; round < 40; round += 1) {
      write('z'.repeat(700_000));
      while (got < (round + 1) * 700_000) {
        const { value } = await pieces.next();
        expect(value?.gap).toBe(false);
        got += value?.text.length ?? 0;
      }
    }
    await pieces.return(undefined);
    expect(got).toBe(28_000_000);
  });

  test('ends at once when it has had enough', async () => {
    const enough = new AbortController();
    const terms = { clock: systemClock, signal: enough.signal, removed: never };
    const next = followOutput('/no/such/folder', {}, terms).next();
    enough.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});
