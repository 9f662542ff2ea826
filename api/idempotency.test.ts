import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { StoreUnavailable } from '#contracts/store.ts';
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

/** Lets the write that the key begins with pass, and holds the one after it. */
function holdPod(): { readonly held: Promise<void>; readonly release: () => void } {
  const [held, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  bench.store.beforeNextPut = async () => {
    bench.store.beforeNextPut = async () => {
      held.resolve();
      await released.promise;
    };
  };
  return { held: held.promise, release: released.resolve };
}

test('one that runs for minutes is waited for, not done again', async () => {
  const { held, release } = holdPod();
  const first = create('slow', 'k9');
  await held;
  for (let minute = 0; minute < 5; minute += 1) {
    await bench.clock.advance(60_000);
    const early = await create('slow', 'k9');
    expect([early.status, String(early.body.message)]).toEqual([
      409,
      expect.stringContaining('under way'),
    ]);
  }
  release();
  expect((await first).status).toBe(200);
  const replay = await create('slow', 'k9');
  expect([replay.status, isReplay(replay)]).toEqual([200, true]);
  await bench.clock.advance(120_000);
  expect(isReplay(await create('slow', 'k9'))).toBe(true);
});

test('one of which nothing was heard for a minute is done', async () => {
  const { held, release } = holdPod();
  const first = create('dead', 'k10');
  await held;
  const [document] = (await bench.store.list('idempotency-keys')).filter(
    ({ value }) => (value as { answer: unknown }).answer === null,
  );
  // As a process leaves it that is no more: what it says from now on is of a version that is gone.
  if (!document) throw new Error('it is not kept');
  await bench.store.put('idempotency-keys', document, 'anything');
  await bench.clock.advance(59_000);
  expect((await create('dead', 'k10')).status).toBe(409);
  await bench.clock.advance(1_000);
  expect((await create('dead', 'k10')).status).toBe(200);
  release();
  await first;
});

test('one that hangs gives its key back', async () => {
  const { held, release } = holdPod();
  const first = create('hangs', 'k11');
  await held;
  await bench.clock.advance(599_000);
  expect((await create('hangs', 'k11')).status).toBe(409);
  await bench.clock.advance(61_000);
  expect((await create('hangs', 'k11')).status).toBe(200);
  release();
  await first;
});

const createClient = (): Promise<Answer> =>
  bench.as('ada')('POST', '/v3/oauth2/clients', {
    body: { callback_url: 'https://app.example.org/' },
    headers: { 'idempotency-key': 'k12' },
  });

test('headers that programs read come again too', async () => {
  const [first, second] = [await createClient(), await createClient()];
  expect(isReplay(second)).toBe(true);
  expect([first.headers['cache-control'], second.headers['cache-control']]).toEqual([
    'no-store',
    'no-store',
  ]);
});

test('an answer that cannot be kept is sent all the same, whatever it says', async () => {
  const away = new StoreUnavailable('away');
  const put = bench.store.put.bind(bench.store);
  let podsToo = false;
  const putting = vi.spyOn(bench.store, 'put').mockImplementation(async (...args) => {
    const [name, { value }] = args;
    if (name === 'idempotency-keys' ? JSON.stringify(value).includes('"status"') : podsToo)
      throw away;
    return put(...args);
  });
  const removing = vi.spyOn(bench.store, 'remove').mockRejectedValue(away);
  try {
    expect((await create('unkept', 'k13')).status).toBe(200);
    expect((await create('unkept', 'k13')).status).toBe(409);
    podsToo = true;
    const refused = await create('unmade', 'k14');
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '5']);
    expect(refused.body.message).toContain('The store cannot be reached');
  } finally {
    putting.mockRestore();
    removing.mockRestore();
  }
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
