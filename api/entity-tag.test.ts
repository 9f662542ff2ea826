import { afterAll, beforeAll, expect, test } from 'vitest';
import { podStatuses } from '#contracts/pod.ts';
import type { Bench } from '../test/api/bench.ts';
import { openBench } from '../test/api/bench.ts';
import { podStatus } from '../test/pod-examples.ts';

/** Versions of what is stored: not answered twice, not written over unseen. */

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

const template = '/v3/pods/templates/thing';
const newTag = { pod_definition: { image: 'x' }, commit_message: 'x', tag: 'v' };

test.each(['', '/tags', '/tags/v'])(
  'templates%s: known until anything of them changes',
  async (rest) => {
    const ada = bench.as('ada');
    await ada('POST', '/v3/pods/templates', { body: { template_id: 'thing' } });
    await ada('POST', `${template}/tags`, { body: newTag });
    const read = (known: string) =>
      ada('GET', template + rest, { headers: { 'if-none-match': known } });
    const tag = String((await ada('GET', template + rest)).headers['etag']);
    expect(await read(tag)).toMatchObject({ status: 304, text: '', headers: { etag: tag } });
    await ada('PUT', template, { body: { description: `seen by ${rest}` } });
    const changed = await read(tag);
    expect([changed.status, changed.headers['etag'] === tag]).toEqual([200, false]);
  },
);

test.each([
  ['PUT', '', { description: 'late' }],
  ['POST', '/tags', newTag],
  ['POST', '/permissions', { user: 'bob', level: 'READ' }],
  ['DELETE', '/permissions/bob', undefined],
  ['GET', '/tags', undefined],
  ['DELETE', '', undefined],
] as const)('%s of a template%s that was changed since is refused', async (method, rest, body) => {
  const ada = bench.as('ada');
  await ada('POST', '/v3/pods/templates', { body: { template_id: 'thing' } });
  await ada('POST', `${template}/permissions`, { body: { user: 'bob', level: 'READ' } });
  const send = (tag: string) =>
    ada(method, template + rest, { headers: { 'if-match': tag }, ...(body ? { body } : {}) });
  const tag = String((await ada('GET', template)).headers['etag']);
  await ada('PUT', template, { body: { archive_message: `${method} ${rest}` } });
  expect((await send(tag)).status).toBe(412);
  expect((await send(String((await ada('GET', template)).headers['etag']))).status).toBe(200);
});

test('an image has a version too', async () => {
  await bench.addUser('root', 'pass word', true);
  const root = bench.as('root');
  const image = '/v3/pods/images/example.org/app';
  const add = () => root('POST', '/v3/pods/images', { body: { image: 'example.org/app' } });
  await add();
  const tag = String((await root('GET', image)).headers['etag']);
  expect((await root('GET', image, { headers: { 'if-none-match': tag } })).status).toBe(304);
  await root('DELETE', image);
  await add();
  const condition = { headers: { 'if-match': tag } };
  expect((await root('DELETE', image, condition)).status).toBe(412);
  expect((await root('GET', image, condition)).status).toBe(412);
  const now = String((await root('GET', image)).headers['etag']);
  expect((await root('DELETE', image, { headers: { 'if-match': now } })).status).toBe(200);
  const builtin = await root('GET', '/v3/pods/images/podgate/hello');
  expect(builtin.headers['etag']).toBe('"0.0"');
});

test('a condition on a pod is none on the template that it is saved to', async () => {
  const ada = bench.as('ada');
  await ada('POST', '/v3/pods/templates', { body: { template_id: 'saved' } });
  const save = (ifMatch: string) =>
    ada('POST', `${url}/save_pod_as_template_tag`, {
      body: { template_id: 'saved', commit_message: 'x' },
      headers: { 'if-match': ifMatch },
    });
  expect((await save(await tagNow())).status).toBe(200);
  expect((await save('"1.1"')).status).toBe(412);
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
