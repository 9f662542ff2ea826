import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { desiredPods } from '#contracts/pod.ts';
import type { Bench } from '../test/api/bench.ts';
import { openBench } from '../test/api/bench.ts';
import { zPod } from './pods/schemas.ts';

/** Lists as clients narrow and page them. */

let bench: Bench;

beforeAll(async () => {
  bench = await openBench();
  await bench.addUser('ada', 'pass word', true);
  for (const [pod_id, description] of [
    ['one', 'first'],
    ['two', 'second'],
    ['three', 'third and last'],
  ]) {
    await bench.as('ada')('POST', '/v3/pods', {
      body: { pod_id, description, image: 'podgate/hello' },
    });
    await bench.clock.advance(1000);
  }
}, 30_000);

afterAll(() => bench.close());

async function list(query: string) {
  const { body } = await bench.as('ada')('GET', `/v3/pods${query}`);
  const ids = (body.result as { pod_id: string }[]).map(({ pod_id }) => pod_id);
  return { ids, metadata: body.metadata };
}

test('everything, as ever, without parameters', async () => {
  expect(await list('')).toEqual({ ids: ['one', 'three', 'two'], metadata: {} });
});

test('in pages by when they were made', async () => {
  const first = await list('?sort=-creation_ts&limit=2');
  expect(first.ids).toEqual(['three', 'two']);
  expect(first.metadata['total']).toBe(3);
  const cursor = String(first.metadata['next_cursor']);
  const second = await list(`?sort=-creation_ts&limit=2&cursor=${cursor}`);
  expect(second).toEqual({ ids: ['one'], metadata: { total: 3, next_cursor: null } });
});

test('only those that match', async () => {
  expect((await list('?search=LAST')).ids).toEqual(['three']);
  expect((await list('?status=REQUESTED&image=podgate/hello')).ids).toHaveLength(3);
  expect((await list('?status=SPAWNER%20SETUP')).ids).toEqual([]);
});

test.each([
  ['?limit=0', 'querystring, limit: must be 1 to 1000'],
  ['?limit=many', 'querystring, limit: must be a number'],
  ['?sort=size', 'querystring, sort: size is no field to sort by'],
  ['?colour=red', 'querystring, colour: Unknown field, remove it'],
  ['?status=FINE', 'querystring, status: '],
  ['?cursor=x', 'querystring, cursor: '],
])('%s is refused by name', async (query, text) => {
  const answer = await bench.as('ada')('GET', `/v3/pods${query}`);
  expect(answer.status).toBe(400);
  expect(String(answer.body.message)).toContain(text);
});

test.each([0, 100, 101, 250])(
  '%i pods are as many in the list, each once, in order',
  async (count) => {
    const many = await openBench();
    await many.addUser('ada', 'pass word');
    const ada = many.as('ada');
    const ids = Array.from({ length: count }, (_, index) => `pod${index}`);
    await Promise.all(
      ids.map((pod_id) => ada('POST', '/v3/pods', { body: { pod_id, image: 'podgate/hello' } })),
    );
    const answer = await ada('GET', '/v3/pods');
    expect(answer.headers['content-type']).toBe('application/json');
    const { result, ...rest } = answer.body;
    expect((result as { pod_id: string }[]).map(({ pod_id }) => pod_id)).toEqual(ids.toSorted());
    expect(rest).toMatchObject({ status: 'success', metadata: {} });
    expect(z.array(zPod).parse(result)).toHaveLength(count);
    await many.close();
  },
);

test('an edit is in the next list, whichever API made it', async () => {
  const { store } = bench;
  const described = async () =>
    (await bench.as('ada')('GET', '/v3/pods?search=other-api')).body.metadata['total'];
  expect(await described()).toBe(0);
  const pods = desiredPods(store);
  const pod = await pods.get('default/two');
  if (!pod) throw new Error('gone');
  await pods.put(pod.id, { ...pod.value, description: 'by an other-api' }, pod);
  expect(await described()).toBe(1);
  await bench.as('ada')('PUT', '/v3/pods/two', { body: { description: 'second' } });
  expect(await described()).toBe(0);
  const copy = { ...pod.value, podId: 'four', description: 'other-api' };
  await pods.put('default/four', copy, 'absent');
  expect(await described()).toBe(1);
  await pods.remove('default/four', 'anything');
  expect(await described()).toBe(0);
});

test('images and templates too', async () => {
  const images = await bench.as('ada')('GET', '/v3/pods/images?limit=1&sort=-image');
  expect(images.body.result).toMatchObject([{ image: 'podgate/process' }]);
  await bench.as('ada')('POST', '/v3/pods/templates', { body: { template_id: 'mine' } });
  const templates = await bench.as('ada')('GET', '/v3/pods/templates?search=MI');
  expect(templates.body.metadata).toEqual({ total: 1, next_cursor: null });
});
