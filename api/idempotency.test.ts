import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Answer, Bench } from '../test/api/bench.ts';
import { openBench } from '../test/api/bench.ts';
import { sweepAnswers } from './idempotency.ts';

/** The same POST twice, done once. */

let bench: Bench;

beforeAll(async () => {
  bench = await openBench();
  for (const name of ['ada', 'bob']) await bench.addUser(name, 'pass word');
}, 30_000);

afterAll(() => bench.close());

const create = (pod_id: string, key: string, who = 'ada', more = {}): Promise<Answer> =>
  bench.as(who)('POST', '/v3/pods', {
    body: { pod_id, image: 'podgate/hello', ...more },
    headers: { 'idempotency-key': key },
  });

test('the second gets the answer of the first, and makes nothing', async () => {
  const secret = { environment_variables: { TOP: 'hidden text' } };
  const first = await create('once', 'k1', 'ada', secret);
  const second = await create('once', 'k1', 'ada', secret);
  expect(first.status).toBe(200);
  expect([second.status, second.body]).toEqual([200, first.body]);
  expect(first.headers['idempotency-replayed']).toBeUndefined();
  expect(second.headers['idempotency-replayed']).toBe('true');
  expect(second.headers['content-type']).toBe('application/json');
  const stored = JSON.stringify(await bench.store.list('idempotency-keys'));
  expect(stored).not.toContain('hidden text');
  expect((await create('once', 'k2', 'ada', secret)).status).toBe(409);
});

test('a refusal is an answer too', async () => {
  const first = await create('Bad', 'k3');
  expect(first.status).toBe(400);
  const conflict = await create('once', 'k4');
  expect(conflict.status).toBe(409);
  const again = await create('once', 'k4');
  expect([again.status, again.headers['idempotency-replayed']]).toEqual([409, 'true']);
});

test('another request with the key is refused; another user has keys of their own', async () => {
  await create('first', 'k5');
  expect((await create('second', 'k5')).status).toBe(422);
  const bobs = await create('bobs', 'k5', 'bob');
  expect([bobs.status, bobs.headers['idempotency-replayed']]).toEqual([200, undefined]);
});

const isReplay = ({ headers }: Answer): boolean => headers['idempotency-replayed'] === 'true';

test('of several at a time one is done, the others are told to wait', async () => {
  const answers = await Promise.all([1, 2, 3].map(() => create('race', 'k6')));
  expect(answers.filter((each) => each.status === 200 && !isReplay(each))).toHaveLength(1);
  // One that comes late enough gets the answer of the first.
  for (const each of answers.filter(({ status }) => status !== 200)) {
    expect(each.status).toBe(409);
    expect(String(each.body.message)).toContain('under way');
  }
  expect((await create('race', 'k6')).headers['idempotency-replayed']).toBe('true');
});

test('a failure of ours may be tried again', async () => {
  bench.store.beforeNextPut = async () => {
    bench.store.beforeNextPut = async () => {
      throw new Error('disk');
    };
  };
  expect((await create('fails', 'k7')).status).toBe(500);
  expect((await create('fails', 'k7')).status).toBe(200);
});

test('a day later it is forgotten', async () => {
  await create('day', 'k8');
  await bench.clock.advance(24 * 3_600_000);
  const late = await create('day', 'k8');
  expect([late.status, late.headers['idempotency-replayed']]).toEqual([409, undefined]);
  await bench.clock.advance(24 * 3_600_000);
  await sweepAnswers(bench);
  expect(await bench.store.list('idempotency-keys')).toEqual([]);
});

test.each(['', 'has space', 'x'.repeat(256)])('the key %j is refused', async (key) => {
  const answer = await create('never', key);
  expect(String(answer.body.message)).toContain('idempotency-key');
  expect(answer.status).toBe(400);
});
