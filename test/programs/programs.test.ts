import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { cached } from './cache.ts';
import { debian } from './debian.ts';
import { available, install, run, Unavailable } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'podgate-programs-'));
const pin = join(folder, 'pin.txt');
const made: string[] = [];
const failing = (cause: Error) => async (): Promise<never> => {
  throw cause;
};
afterAll(() => {
  for (const path of [folder, ...made]) rmSync(path, { recursive: true, force: true });
});

test('a program that is not there, fails or hangs is unavailable, with its words', async () => {
  await expect(install(['/nonexistent/tool', 'go'])).rejects.toThrow(Unavailable);
  await expect(install(['sh', '-c', 'echo no network >&2; exit 7'])).rejects.toThrow(
    /ended with 7: no network/,
  );
  await expect(install(['sleep', '60'], { timeoutMs: 50 })).rejects.toThrow(/a timeout/);
});

test('what is unavailable is skipped loudly by name, a defect is not', async () => {
  const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    expect(
      await available('Neo4j', failing(new Unavailable('the registry is away'))),
    ).toBeUndefined();
    expect(written).toHaveBeenCalledWith(
      '\n*** SKIPPED: Neo4j, because the registry is away ***\n\n',
    );
    await expect(available('Neo4j', failing(new Error('a wrong checksum')))).rejects.toThrow(
      'a wrong checksum',
    );
  } finally {
    written.mockRestore();
  }
});

test('a program that is there needs no installing', async () => {
  expect(await debian('/bin/sh', 'no-such-package')).toBe('/bin/sh');
});

test('what is cached is made once for each contents of its pins, and a failed making leaves nothing', async () => {
  let makings = 0;
  const make = async (into: string): Promise<void> => {
    makings += 1;
    writeFileSync(join(into, 'partial'), '');
    if (makings === 1) throw new Unavailable('away');
  };
  const name = `test-${process.pid}`;
  writeFileSync(pin, 'one');
  await expect(cached(name, [pin], make)).rejects.toThrow('away');
  const first = await cached(name, [pin], make);
  made.push(first, `${first}.making`);
  expect(readdirSync(first)).toEqual(['partial']);
  expect(existsSync(`${first}.making`)).toBe(false);
  expect(await cached(name, [pin], make)).toBe(first);
  expect(makings).toBe(2);
  writeFileSync(pin, 'two');
  made.push(await cached(name, [pin], make));
  expect(makings).toBe(3);
});

test('a program gets its input, and its ends are told apart', async () => {
  const finished = await run(['sh', '-c', 'cat; echo "$WORD" >&2; exit 3'], {
    input: 'in',
    env: { WORD: 'word' },
  });
  expect(finished).toEqual({ code: 3, out: 'in', err: 'word\n' });
});
