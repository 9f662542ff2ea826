import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Answer, Bench } from '../test/api/bench.ts';
import { openBench, origin } from '../test/api/bench.ts';
import { logsOf } from '../test/log-examples.ts';

/**
 * The requests that tapipy 1.9.0 sends for the quickstart, as they were recorded, and what it reads
 * of the answers. The client itself runs in `test/clients`; this needs no Python.
 */

let bench: Bench;
let token = '';

beforeAll(async () => {
  bench = await openBench();
  await bench.addUser('apitest', 'pass word', true);
  const apitest = bench.as('apitest');
  await apitest('POST', '/v3/pods/templates', { body: { template_id: 'neo4j' } });
  const definition = { pod_definition: { image: 'podgate/hello' }, commit_message: '' };
  await apitest('POST', '/v3/pods/templates/neo4j/tags', { body: definition });
}, 30_000);

afterAll(() => bench.close());

/** As the client sends it: no Accept, no compression, the body as JSON bytes. */
async function send(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer> {
  const answer = await bench.call(method, path, {
    headers: {
      'user-agent': 'python-urllib3/1.26.20',
      'accept-encoding': 'identity',
      ...(token ? { 'x-tapis-token': token } : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  // Compared as a whole: with a charset the client takes the body for bytes.
  expect(answer.headers['content-type'], path).toBe('application/json');
  expect(Object.keys(answer.body).toSorted(), path).toEqual(
    'message metadata result status version'.split(' '),
  );
  return answer;
}

test('the constructor finds the tenant of its base URL', async () => {
  const sites = (await send('GET', '/v3/sites')).body.result as { site_id: string }[];
  const tenants = (await send('GET', '/v3/tenants')).body.result as Record<string, string>[];
  const [tenant] = tenants;
  expect(tenant).toMatchObject({ tenant_id: 'default', base_url: origin });
  expect(sites.map(({ site_id }) => site_id)).toContain(tenant?.['site_id']);
  expect(tenant?.['public_key']).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
});

test('get_tokens stores a token that has an end', async () => {
  const body = { username: 'apitest', password: 'pass word', grant_type: 'password' };
  const { result } = (await send('POST', '/v3/oauth2/tokens', body)).body as {
    result: { access_token: Record<string, unknown> };
  };
  token = String(result.access_token['access_token']);
  expect(result.access_token).toMatchObject({
    expires_in: 14_400,
    expires_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    jti: expect.any(String),
  });
  const [, claims = ''] = token.split('.');
  expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toHaveProperty('exp');
});

test('create_pod, get_pod_logs, restart_pod with a boolean as Python writes it', async () => {
  const body = { pod_id: 'docpod', template: 'neo4j', description: 'My example pod!' };
  const created = await send('POST', '/v3/pods', body);
  expect(created.body).toMatchObject({
    message: 'Pod created successfully.',
    result: { ...body, template: expect.stringMatching(/^neo4j:latest@/), status: 'REQUESTED' },
  });
  bench.logs.serve(logsOf(async () => 'Started.\n'));
  const logs = await send('GET', '/v3/pods/docpod/logs');
  expect(logs.body.result).toMatchObject({
    logs: 'Started.\n',
    action_logs: [expect.stringMatching(/^\d\d\/\d\d\/\d\d \d\d:\d\d: Pod object created by/)],
  });
  const restarted = await send('GET', '/v3/pods/docpod/restart?grab_latest_template_tag=True');
  expect(restarted.body.result).toMatchObject({ status_requested: 'RESTART' });
});

test('add_images takes an array, get_image an id with slashes', async () => {
  const images = [{ image: 'a/b' }, { image: 'c' }];
  const added = await send('POST', '/v3/pods/images/bulk', images);
  expect(added.body.result).toHaveLength(2);
  expect((await send('GET', '/v3/pods/images/a/b')).body.result).toMatchObject({ image: 'a/b' });
});

test('get_profile, and delete answers an empty text', async () => {
  const profile = await send('GET', '/v3/oauth2/profiles/apitest');
  expect(profile.body.result).toMatchObject({ username: 'apitest', email: '', dn: 'cn=apitest' });
  const gone = await bench.call('DELETE', '/v3/pods/docpod', {
    headers: { 'x-tapis-token': token },
  });
  expect(gone.body).toMatchObject({ result: '', status: 'success' });
});
