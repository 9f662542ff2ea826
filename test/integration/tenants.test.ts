import { afterAll, beforeAll, expect, test } from 'vitest';
import { Standalone, until } from './standalone.ts';

/** A tenant made while everything runs: its API and its pods have addresses and certificates at once. */

let podgate: Standalone;
const password = 'correct horse';

beforeAll(async () => {
  podgate = await Standalone.start();
});
afterAll(() => podgate.stopAndForget());

const json = async (host: string, path: string, body?: object, token = '') => {
  const reply = await podgate.request(host, path, {
    method: body ? 'POST' : 'GET',
    headers: { 'content-type': 'application/json', ...(token ? { 'x-tapis-token': token } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  return { status: reply.status, body: JSON.parse(reply.body.toString()) as { result: never } };
};

test('is served by name at the gateway, with certificates that browsers accept', async () => {
  const acme = { tenant_id: 'acme', admin: { username: 'grace', password } };
  expect((await podgate.call('POST', '/v3/tenants', acme)).status).toBe(200);
  const host = 'acme.localhost';
  // The CA is the only one trusted here: a certificate for another name would end the handshake.
  const answers = (): Promise<boolean> =>
    podgate.request(host, '/v3/healthcheck').then(
      ({ status }) => status === 200,
      () => false,
    );
  await until(answers, () => podgate.output);
  const credentials = { grant_type: 'password', username: 'grace', password };
  const { body } = await json(host, '/v3/oauth2/tokens', credentials);
  const { access_token: token } = (body.result as { access_token: { access_token: string } })
    .access_token;

  const pod = { pod_id: 'hello', image: 'podgate/hello' };
  const made = await json(host, '/v3/pods', pod, token);
  expect(made.status).toBe(200);
  await until(async () => {
    const { body: shown } = await json(host, '/v3/pods/hello', undefined, token);
    return (shown.result as { status: string }).status === 'AVAILABLE';
  });
  // The first tenant has a pod of the same name: each is reached at its own address.
  const theirs = await podgate.request('hello.pods.acme.localhost', '/');
  const ours = await podgate.request('hello.pods.localhost', '/');
  expect([theirs.status, ours.status]).toEqual([200, 200]);
  const unknown = await podgate.request('nosuch.pods.acme.localhost', '/');
  expect([unknown.status, unknown.body.toString()]).toEqual([
    404,
    expect.stringContaining('EDGE_NO_ROUTE'),
  ]);
  await expect(podgate.request('hello.pods.nosuch.localhost', '/')).rejects.toThrow();
  expect((await json('localhost', '/v3/pods', undefined, token)).status).toBe(403);
}, 60_000);
