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
