import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Bench } from '../../test/api/bench.ts';
import { openBench } from '../../test/api/bench.ts';

/** What a template brings into a pod later is checked like what its user sends. */

let bench: Bench;
const hello = { image: 'podgate/hello' };
const loader = { ...hello, environment_variables: { NODE_OPTIONS: '--require=/tmp/x' } };

beforeAll(async () => {
  bench = await openBench();
  await bench.addUser('ada', 'pass word');
}, 30_000);

afterAll(() => bench.close());

const ada = (method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown) =>
  bench.as('ada')(method, `/v3/pods${path}`, body === undefined ? {} : { body });

async function tag(template_id: string, pod_definition: object): Promise<void> {
  await ada('POST', '/templates', { template_id });
  const body = { pod_definition, commit_message: '' };
  expect((await ada('POST', `/templates/${template_id}/tags`, body)).status).toBe(200);
}

test.each([
  ['program', { image: 'podgate/process', command: ['id'] }, 'runs programs on the host'],
  ['variable', loader, 'NODE_OPTIONS: may run programs on the host'],
  ['container', { image: 'nginx' }, 'needs a container engine'],
])('a newer tag brings no %s that its user may not run', async (id, newer, text) => {
  await tag(id, hello);
  expect((await ada('POST', '', { pod_id: `${id}pod`, template: id })).status).toBe(200);
  await tag(id, newer);
  const before = (await ada('GET', `/${id}pod/derived`)).body.result;
  const refused = await ada('GET', `/${id}pod/restart?grab_latest_template_tag=True`);
  expect(refused.status).toBe(400);
  expect(String(refused.body.message)).toContain(text);
  expect((await ada('GET', `/${id}pod/derived`)).body.result).toEqual(before);
});

test('variables that were switched off come in by no update either', async () => {
  await tag('hidden', loader);
  const off = { _TAPIS_INTERNAL_USE_TEMPLATE_ENVS: 'False' };
  const pod = { pod_id: 'hiddenpod', template: 'hidden', environment_variables: off };
  expect((await ada('POST', '', pod)).status).toBe(200);
  const refused = await ada('PUT', '/hiddenpod', { environment_variables: {} });
  expect(refused.status).toBe(400);
  expect(String(refused.body.message)).toContain('NODE_OPTIONS: may run programs');
});

test('a tag is added though the template is edited meanwhile, in a second that is not yet', async () => {
  for (let index = 0; index < 6; index += 1) await tag('busy', hello);
  bench.store.beforeNextPut = async () => {
    await Promise.resolve();
    bench.store.beforeNextPut = () => ada('PUT', '/templates/busy', { description: 'new' });
  };
  await tag('busy', hello);
  const { result } = (await ada('GET', '/templates/busy/tags')).body as { result: object[] };
  expect(result).toHaveLength(7);
});

test('a definition can be sent as it is shown', async () => {
  await tag('copied', hello);
  const { result } = (await ada('GET', '/templates/copied/tags/latest')).body as {
    result: { pod_definition: object }[];
  };
  await tag('copied', result[0]?.pod_definition ?? {});
  const refused = { pod_definition: { networking: { web: { prot: 1 } } }, commit_message: '' };
  const answer = await ada('POST', '/templates/copied/tags', refused);
  expect(answer.body.message).toEqual([expect.stringContaining('networking, web')]);
});
