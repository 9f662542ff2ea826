import { expect, test } from 'vitest';
import type { CancelExchange, CancelOwner } from '#contracts/cancels.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { CancelDesk } from './cancel-desk.ts';
import type { CancelQuestion } from './messages.ts';

const pod = { host: '10.0.0.1', port: 5432 };
const other = { host: '10.0.0.2', port: 5432 };

function desk(workers: number, others?: CancelExchange) {
  const clock = new ManualClock();
  const asked: CancelQuestion[] = [];
  const made = new CancelDesk(
    clock,
    (question) => {
      asked.push(question);
      return workers;
    },
    others,
  );
  return { clock, asked, desk: made, find: () => made.find('k', 'me') };
}

/** Other gateways that know these. */
const knowing = (...owners: CancelOwner[]): CancelExchange => ({
  ask: async (key, from) => (key === 'k' && from === 'me' ? owners : []),
  serve: () => () => undefined,
});

test('the answer comes with the last worker’s', async () => {
  const { asked, find, desk: made } = desk(2);
  const found: unknown[] = [];
  const finding = find().then((owner) => found.push(owner));
  expect(asked).toEqual([{ question: 1, key: 'k', from: 'me' }]);
  made.answer(1, []);
  await new Promise((resolve) => setImmediate(resolve));
  expect(found).toEqual([]);
  made.answer(1, [{ upstream: pod, near: false }]);
  made.answer(1, [{ upstream: other, near: false }]);
  await finding;
  expect(found).toEqual([pod]);
});

test('two pods at two workers are as many as at one', async () => {
  const { find, desk: made } = desk(2);
  const found = find();
  made.answer(1, [{ upstream: pod, near: false }]);
  made.answer(1, [{ upstream: other, near: false }]);
  expect(await found).toBeUndefined();
});

test('a worker that hangs is not waited for, and late is too late', async () => {
  const { clock, find, desk: made } = desk(2);
  const found = find();
  made.answer(1, [{ upstream: pod, near: false }]);
  await clock.advance(250);
  expect(await found).toEqual(pod);
  made.answer(1, []);
});

test('with no worker there is nobody, and too many questions find nobody at once', async () => {
  expect(await desk(0).find()).toBeUndefined();
  const many = desk(2);
  for (let n = 0; n < 1_000; n += 1) void many.find();
  expect(await many.find()).toBeUndefined();
  expect(many.asked).toHaveLength(1_000);
});

test('a session at another gateway is found, and one at each of two is nobody’s', async () => {
  const one = desk(1, knowing({ upstream: other, near: false }));
  const found = one.find();
  one.desk.answer(1, []);
  expect(await found).toEqual(other);
  const two = one.find();
  one.desk.answer(2, [{ upstream: pod, near: false }]);
  expect(await two).toBeUndefined();
  const nearer = one.find();
  one.desk.answer(3, [{ upstream: pod, near: true }]);
  expect(await nearer).toEqual(pod);
});

test('another gateway is told what the workers here know, and not what others do', async () => {
  const { desk: made } = desk(1, knowing({ upstream: other, near: true }));
  const known = made.owners('k', 'me');
  made.answer(1, [{ upstream: pod, near: false }]);
  expect(await known).toEqual([{ upstream: pod, near: false }]);
});
