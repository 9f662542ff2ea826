import { expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import type { Act, Turn } from './queue.ts';
import { WorkQueue } from './queue.ts';

interface Bench {
  readonly clock: ManualClock;
  readonly queue: WorkQueue;
  readonly log: string[];
  /** Lets the work on a name that is under way end. */
  finish(this: void, name: string, outcome?: number | Act | Error): Promise<void>;
}

const each = (slots: number): Record<Turn, number> => ({ look: slots, end: slots, launch: slots });

/** A queue whose work ends when the test says so. */
function bench({ concurrency = 10, fraction = 1 } = {}): Bench {
  const clock = new ManualClock();
  const log: string[] = [];
  const open = new Map<string, PromiseWithResolvers<number | Act | undefined>>();
  const queue = new WorkQueue({
    clock,
    random: { bytes: (length) => Buffer.alloc(length), fraction: () => fraction },
    concurrency: each(concurrency),
    work: (name, turn) => {
      if (open.has(name)) log.push(`${name} twice at once`);
      log.push(turn === 'look' ? name : `${turn} ${name}`);
      const work = Promise.withResolvers<number | Act | undefined>();
      open.set(name, work);
      return work.promise.finally(() => open.delete(name));
    },
    failed: (name, error) => log.push(`${name} failed: ${String(error)}`),
  });
  queue.start();
  return {
    clock,
    queue,
    log,
    async finish(name, outcome) {
      if (outcome instanceof Error) open.get(name)?.reject(outcome);
      else open.get(name)?.resolve(outcome);
      await clock.advance(0);
    },
  };
}

test('a name that is added many times is worked on once', async () => {
  const { queue, log, finish } = bench({ concurrency: 1 });
  queue.add('a');
  for (let i = 0; i < 5; i += 1) queue.add('b');
  await finish('a');
  await finish('b');
  expect(log).toEqual(['a', 'b']);
});

test('a name that is added while it is worked on is worked on once more, afterwards', async () => {
  const { queue, log, finish } = bench();
  queue.add('a');
  queue.add('a');
  queue.add('a');
  expect(log).toEqual(['a']);
  await finish('a');
  expect(log).toEqual(['a', 'a']);
  await finish('a');
  expect(log).toEqual(['a', 'a']);
});

test('no more names are worked on at once than allowed', async () => {
  const { queue, log, finish } = bench({ concurrency: 2 });
  for (const name of ['a', 'b', 'c', 'd']) queue.add(name);
  expect(log).toEqual(['a', 'b']);
  await finish('b');
  expect(log).toEqual(['a', 'b', 'c']);
});

test('what is added goes before what is looked at when nothing else is to be done', async () => {
  const { queue, log, finish } = bench({ concurrency: 1 });
  for (const name of ['a', 'b', 'c', 'd']) queue.addIdle(name);
  queue.add('e');
  queue.add('d');
  queue.addIdle('e');
  for (const name of ['a', 'e', 'd', 'b', 'c']) await finish(name);
  expect(log).toEqual(['a', 'e', 'd', 'b', 'c']);
});

test('acts that take long keep no look waiting, and no act another slot', async () => {
  const { queue, log, finish } = bench({ concurrency: 1 });
  for (const name of ['a', 'b']) queue.add(name);
  await finish('a', 'launch');
  await finish('b', 'launch');
  queue.add('c');
  expect(log).toEqual(['a', 'b', 'launch a', 'c']);
  await finish('a');
  expect(log).toEqual(['a', 'b', 'launch a', 'c', 'launch b']);
});

test('what ends does not wait for what is launched, nor what is launched for what ends', async () => {
  const { queue, log, finish } = bench({ concurrency: 1 });
  for (const name of ['a', 'b', 'c', 'd']) queue.add(name);
  for (const name of ['a', 'b']) await finish(name, 'launch');
  await finish('c', 'end');
  await finish('d', 'end');
  expect(log).toEqual(['a', 'b', 'launch a', 'c', 'd', 'end c']);
  await finish('a');
  expect(log.at(-1)).toBe('launch b');
  await finish('c');
  expect(log.at(-1)).toBe('end d');
});

test('what was ended to be launched again goes before others, though it is looked at between', async () => {
  const { queue, log, finish } = bench({ concurrency: 1 });
  for (const name of ['a', 'b', 'c']) queue.add(name);
  for (const name of ['a', 'b']) await finish(name, 'launch');
  await finish('c', 'end');
  await finish('c', 'launch');
  queue.add('c');
  await finish('c', 'launch');
  await finish('a');
  await finish('c');
  expect(log).toEqual(['a', 'b', 'launch a', 'c', 'end c', 'c', 'launch c', 'launch b']);
});

test('what waits for its act is looked at when something happens, and acted on only if still due', async () => {
  const { queue, log, finish } = bench({ concurrency: 1 });
  for (const name of ['a', 'b', 'c', 'd']) {
    queue.add(name);
    await finish(name, 'launch');
  }
  for (const name of ['b', 'c', 'd']) queue.add(name);
  // While it is looked at nobody acts on it.
  await finish('a');
  const looks = ['a', 'launch a', 'b', 'c', 'd', 'b'];
  expect(log).toEqual([...looks, 'launch c']);
  await finish('b');
  // The act has looked at it, too.
  await finish('c');
  expect(log).toEqual([...looks, 'launch c', 'd']);
  await finish('d', 'end');
  await finish('d');
  expect(log).toEqual([...looks, 'launch c', 'd', 'end d']);
});

test('acts that fail come again with growing delays, though the looks between succeed', async () => {
  const { clock, queue, log, finish } = bench();
  queue.add('a');
  for (const waitMs of [100, 200, 400]) {
    await finish('a', 'launch');
    await finish('a', new Error('no'));
    const before = log.length;
    await clock.advance(waitMs - 1);
    expect(log.length).toBe(before);
    await clock.advance(1);
    expect(log.slice(before)).toEqual(['a']);
  }
});

test('nothing is worked on before the start, and then all that was added', async () => {
  const clock = new ManualClock();
  const log: string[] = [];
  const queue = new WorkQueue({
    clock,
    random: { bytes: (length) => Buffer.alloc(length), fraction: () => 1 },
    concurrency: each(1),
    work: async (name) => {
      log.push(name);
      return undefined;
    },
    failed: () => undefined,
  });
  queue.add('a');
  queue.add('b');
  await clock.advance(1_000);
  expect(log).toEqual([]);
  queue.start();
  await clock.advance(0);
  expect(log).toEqual(['a', 'b']);
});

test('work may ask to be done again after a while', async () => {
  const { clock, queue, log, finish } = bench();
  queue.add('a');
  await finish('a', 5_000);
  await clock.advance(4_999);
  expect(log).toEqual(['a']);
  await clock.advance(1);
  expect(log).toEqual(['a', 'a']);
});

test('an event does not wait for that while, and replaces it', async () => {
  const { clock, queue, log, finish } = bench();
  queue.add('a');
  await finish('a', 5_000);
  queue.add('a');
  await finish('a');
  await clock.advance(10_000);
  expect(log).toEqual(['a', 'a']);
});

test('what fails comes again after 0.1, 0.2, 0.4 s and so on, and after success from the start', async () => {
  const { clock, queue, log, finish } = bench();
  const fails = async (waitMs: number): Promise<void> => {
    const before = log.length;
    await finish('a', new Error('no'));
    await clock.advance(waitMs - 1);
    expect(log.length).toBe(before + 1);
    await clock.advance(1);
    expect(log.length).toBe(before + 2);
  };
  queue.add('a');
  for (const waitMs of [100, 200, 400]) await fails(waitMs);
  expect(log[1]).toBe('a failed: Error: no');
  await finish('a');
  queue.add('a');
  await fails(100);
});

test('the backoff is a minute at most, and up to half of it is left to chance', async () => {
  const { clock, queue, log, finish } = bench({ fraction: 0 });
  queue.add('a');
  for (let i = 0; i < 20; i += 1) {
    await finish('a', new Error('no'));
    await clock.advance(30_000);
  }
  expect(log.filter((line) => line === 'a')).toHaveLength(21);
});

test('one name that fails does not delay another', async () => {
  const { queue, log, finish } = bench();
  queue.add('a');
  await finish('a', new Error('no'));
  queue.add('b');
  expect(log.at(-1)).toBe('b');
});

test('a wait longer than timers can is cut, not skipped', async () => {
  const { clock, queue, log, finish } = bench();
  queue.add('a');
  await finish('a', 90 * 24 * 3_600_000);
  await clock.advance(3_599_999);
  expect(log).toEqual(['a']);
  await clock.advance(1);
  expect(log).toEqual(['a', 'a']);
});

test('stop waits for what is under way and starts nothing more', async () => {
  const { clock, queue, log, finish } = bench({ concurrency: 1 });
  queue.add('a');
  queue.add('b');
  queue.add('a');
  let stopped = false;
  const stopping = queue.stop().then(() => (stopped = true));
  await clock.advance(0);
  expect(stopped).toBe(false);
  await finish('a', 10);
  await stopping;
  queue.add('c');
  await clock.advance(1_000);
  expect(log).toEqual(['a']);
});
