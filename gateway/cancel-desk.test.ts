import { expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { CancelDesk } from './cancel-desk.ts';
import type { CancelQuestion } from './messages.ts';

const pod = { host: '10.0.0.1', port: 5432 };
const other = { host: '10.0.0.2', port: 5432 };

function desk(workers: number) {
  const clock = new ManualClock();
  const asked: CancelQuestion[] = [];
  const made = new CancelDesk(clock, (question) => {
    asked.push(question);
    return workers;
  });
  const found: unknown[] = [];
  return {
    clock,
    asked,
    found,
    desk: made,
    find: () => made.find('k', 'me', (o) => found.push(o)),
  };
}

test('the answer comes with the last worker’s', () => {
  const { asked, found, find, desk: made } = desk(2);
  find();
  expect(asked).toEqual([{ question: 1, key: 'k', from: 'me' }]);
  made.answer(1, []);
  expect(found).toEqual([]);
  made.answer(1, [{ upstream: pod, near: false }]);
  expect(found).toEqual([pod]);
  made.answer(1, [{ upstream: other, near: false }]);
  expect(found).toHaveLength(1);
});

test('two pods at two workers are as many as at one', () => {
  const { found, find, desk: made } = desk(2);
  find();
  made.answer(1, [{ upstream: pod, near: false }]);
  made.answer(1, [{ upstream: other, near: false }]);
  expect(found).toEqual([undefined]);
});

test('a worker that hangs is not waited for, and late is too late', async () => {
  const { clock, found, find, desk: made } = desk(2);
  find();
  made.answer(1, [{ upstream: pod, near: false }]);
  await clock.advance(250);
  expect(found).toEqual([pod]);
  made.answer(1, []);
  expect(found).toHaveLength(1);
});

test('with no worker there is nobody, and too many questions find nobody at once', () => {
  const none = desk(0);
  none.find();
  expect(none.found).toEqual([undefined]);
  const many = desk(2);
  for (let n = 0; n < 1_000; n += 1) many.find();
  expect(many.found).toEqual([]);
  many.find();
  expect(many.found).toEqual([undefined]);
  expect(many.asked).toHaveLength(1_000);
});
