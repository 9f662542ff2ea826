import { afterAll, beforeAll, expect, test } from 'vitest';
import { podStatuses } from '#contracts/pod.ts';
import type { Bench } from '../test/api/bench.ts';
import { openBench } from '../test/api/bench.ts';
import { podStatus } from '../test/pod-examples.ts';

/** Versions of pods: not answered twice, not written over unseen. */

let bench: Bench;
const url = '/v3/pods/mine';

beforeAll(async () => {
  bench = await openBench();
  await bench.addUser('ada', 'pass word');
  const body = { pod_id: 'mine', image: 'podgate/hello' };
  await bench.as('ada')('POST', '/v3/pods', { body });
}, 30_000);

afterAll(() => bench.close());

const get = (headers = {}) => bench.as('ada')('GET', url, { headers });
const put = (description: string, ifMatch: string) =>
  bench.as('ada')('PUT', url, { body: { description }, headers: { 'if-match': ifMatch } });
const tagNow = async () => String((await get()).headers['etag']);

test('a version that is known is not answered again, until pod or status change', async () => {
  const tag = await tagNow();
  expect(tag).toMatch(/^"\d+\.\d+"$/);
  for (const known of [tag, `W/${tag}`, `"1.1", ${tag}`, '*']) {
    const answer = await get({ 'if-none-match': known });
    expect([answer.status, answer.text, answer.headers['etag']]).toEqual([304, '', tag]);
  }
  await podStatuses(bench.store).put('default/mine', podStatus(), 'anything');
  expect((await get({ 'if-none-match': tag })).status).toBe(200);
  expect(await tagNow()).not.toBe(tag);
});

test('an edit of a version that is gone is refused, whoever changed it', async () => {
  const tag = await tagNow();
  expect((await put('first', tag)).status).toBe(200);
  const late = await put('second', tag);
  expect(late.status).toBe(412);
  expect(late.body).toMatchObject({ status: 'error', result: null });
  expect((await get()).body.result).toMatchObject({ description: 'first' });
  for (const verb of ['stop', 'restart'])
    expect(
      (await bench.as('ada')('GET', `${url}/${verb}`, { headers: { 'if-match': tag } })).status,
    ).toBe(412);
  const gone = await bench.as('ada')('DELETE', url, { headers: { 'if-match': tag } });
  expect(gone.status).toBe(412);
});

test('what the controller reports is no edit', async () => {
  const tag = await tagNow();
  await podStatuses(bench.store).put('default/mine', podStatus({ message: 'new' }), 'anything');
  expect((await put('third', tag)).status).toBe(200);
});

test('what has no versions keeps no condition on them', async () => {
  for (const [ifMatch, status] of [
    ['"1.1"', 412],
    ['*', 200],
  ] as const) {
    const headers = { 'if-match': ifMatch };
    const body = { template_id: `conditional${status}` };
    const answer = await bench.as('ada')('POST', '/v3/pods/templates', { headers, body });
    expect(answer.status).toBe(status);
  }
});

test.each(['*', '"1.1", *', 'nonsense', '"x.y"'])('If-Match: %s', async (ifMatch) => {
  expect((await put(`by ${ifMatch}`, ifMatch)).status).toBe(ifMatch === '*' ? 200 : 412);
});
