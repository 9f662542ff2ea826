import { expect, test } from 'vitest';
import { WorkQueue } from './work-queue.ts';

const take = async (queue: WorkQueue, count: number): Promise<unknown[]> => {
  const taken: unknown[] = [];
  while (taken.length < count) taken.push(await queue.next(new AbortController().signal));
  return taken;
};

test('what was hurried comes before what was only added, each once', async () => {
  const queue = new WorkQueue();
  for (const id of ['a', 'b', 'c', 'a']) queue.add(id);
  for (const id of ['x', 'b', 'x']) queue.hurry(id);
  queue.add('x');
  expect(await take(queue, 4)).toEqual(['x', 'b', 'a', 'c']);
});

test('what is queued again while it is worked on comes again', async () => {
  const queue = new WorkQueue();
  queue.hurry('a');
  await take(queue, 1);
  queue.hurry('a');
  expect(await take(queue, 1)).toEqual(['a']);
});

test('one that waits gets what comes, or nothing when it is told to stop', async () => {
  const queue = new WorkQueue();
  const abort = new AbortController();
  const first = queue.next(abort.signal);
  queue.add('a');
  expect(await first).toBe('a');
  const second = queue.next(abort.signal);
  abort.abort();
  expect(await second).toBeUndefined();
  queue.add('b');
  expect(await queue.next(abort.signal)).toBeUndefined();
});
