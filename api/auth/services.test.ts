import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Answer, Bench } from '../../test/api/bench.ts';
import { openBench } from '../../test/api/bench.ts';

/** Services: their tokens, and what they do for users. */

let bench: Bench;
const password = 'correct horse';
const basic = (name: string, word = password): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${name}:${word}`).toString('base64')}`,
});

beforeAll(async () => {
  bench = await openBench();
  await bench.addUser('root', password, true);
  await bench.addUser('ada', password);
  const root = bench.as('root');
  const acme = { tenant_id: 'acme', admin: { username: 'grace', password } };
  await root('POST', '/v3/tenants', { body: acme });
  const service = { username: 'jobs', password, account_type: 'service' };
  expect((await root('POST', '/v3/oauth2/users', { body: service })).status).toBe(200);
  await bench.as('grace', 'acme')('POST', '/v3/oauth2/users', { body: service });
}, 30_000);

afterAll(() => bench.close());

const wanted = { account_type: 'service', token_tenant_id: 'default', token_username: 'jobs' };
const ask = (body: object, headers: Record<string, string>): Promise<Answer> =>
  bench.call('POST', '/v3/tokens', { body, headers });

interface Pair {
  readonly access_token: { readonly access_token: string; readonly expires_in: number };
  readonly refresh_token?: { readonly refresh_token: string; readonly expires_in: number };
}
const pairOf = ({ body }: Answer): Pair => body.result as Pair;
const serviceToken = async (tenant = 'default'): Promise<string> =>
  bench.tokenOf('jobs', tenant, 'service');

describe('POST /v3/tokens', () => {
  test('gives a service tokens with the claims of the wire, for as long as it asks', async () => {
    const body = { ...wanted, access_token_ttl: 600, refresh_token_ttl: 6000 };
    const answer = await ask(body, basic('jobs'));
    expect(answer.status).toBe(200);
    expect(answer.headers['cache-control']).toBe('no-store');
    const pair = pairOf(answer);
    expect([pair.access_token.expires_in, pair.refresh_token?.expires_in]).toEqual([600, 6000]);
    expect(decodeJwt(pair.access_token.access_token)).toMatchObject({
      sub: 'jobs@default',
      'tapis/account_type': 'service',
      'tapis/target_site': 'podgate',
      'tapis/token_type': 'access',
    });
    const without = pairOf(await ask({ ...wanted, generate_refresh_token: false }, basic('jobs')));
    expect(without).not.toHaveProperty('refresh_token');
  });

  test.each([
    ['nobody', wanted, {}, 401],
    ['a wrong password', wanted, basic('jobs', 'wrong word'), 401],
    ['a user', { ...wanted, token_username: 'ada' }, basic('ada'), 403],
    ['another name', { ...wanted, token_username: 'ada' }, basic('jobs'), 400],
    ['a token of a user', { ...wanted, account_type: 'user' }, basic('jobs'), 400],
    ['no such tenant', { ...wanted, token_tenant_id: 'nosuch' }, basic('jobs'), 404],
    ['another site', { ...wanted, target_site_id: 'tacc' }, basic('jobs'), 400],
    ['for ever', { ...wanted, access_token_ttl: 1e9 }, basic('jobs'), 400],
  ])('is refused: %s', async (_name, body, headers, status) => {
    expect((await ask(body, headers)).status).toBe(status);
  });

  test('PUT gives new ones for the refresh token, once, with the same terms', async () => {
    const first = pairOf(await ask({ ...wanted, access_token_ttl: 600 }, basic('jobs')));
    const refresh = () =>
      bench.call('PUT', '/v3/tokens', {
        body: { refresh_token: first.refresh_token?.refresh_token },
      });
    const second = await refresh();
    expect(second.status).toBe(200);
    expect(pairOf(second).access_token.expires_in).toBe(600);
    const { access_token: text } = pairOf(second).access_token;
    expect(decodeJwt(text)).toMatchObject({ 'tapis/account_type': 'service' });
    expect((await refresh()).status).toBe(401);
  });

  test('a service does not log in as people do', async () => {
    const body = { grant_type: 'password', username: 'jobs', password };
    expect((await bench.call('POST', '/v3/oauth2/tokens', { body })).status).toBe(401);
  });
});

const callAs = async (user: string | undefined, tenant: string | undefined, of = 'default') => {
  const headers = {
    'x-tapis-token': await serviceToken(of),
    ...(user === undefined ? {} : { 'x-tapis-user': user }),
    ...(tenant === undefined ? {} : { 'x-tapis-tenant': tenant }),
  };
  return bench.call('GET', '/v3/oauth2/userinfo', { headers });
};

describe('on behalf of a user', () => {
  test('a service has what the user has, and no more', async () => {
    expect((await callAs('ada', 'default')).body.result).toMatchObject({ username: 'ada' });
    const headers = {
      'x-tapis-token': await serviceToken(),
      'x-tapis-user': 'ada',
      'x-tapis-tenant': 'default',
    };
    const users = await bench.call('GET', '/v3/oauth2/users', { headers });
    expect(users.status).toBe(403);
    const body = { pod_id: 'forada', image: 'podgate/hello' };
    expect((await bench.call('POST', '/v3/pods', { headers, body })).status).toBe(200);
    expect((await bench.as('ada')('GET', '/v3/pods/forada')).status).toBe(200);
    const done = await bench.as('ada')('GET', '/v3/pods/forada/actions');
    const actor = { type: 'user', name: 'ada', service: 'jobs@default' };
    expect(done.body.result).toMatchObject([{ kind: 'create', actor }]);
    const logs = await bench.as('root')('GET', '/v3/pods/forada/permissions');
    expect(logs.body.result).toMatchObject({ permissions: ['ada:ADMIN'] });
  });

  test('without the headers it is itself', async () => {
    expect((await callAs(undefined, undefined)).body.result).toMatchObject({ username: 'jobs' });
  });

  test.each([
    ['one of the headers alone', { user: 'ada' }, 400],
    ['nobody', { user: 'nosuch', tenant: 'default' }, 400],
    ['everybody', { user: '*', tenant: 'default' }, 400],
    ['a tenant that is not there', { user: 'ada', tenant: 'nosuch' }, 400],
    ['by a service of another tenant', { user: 'ada', tenant: 'default', of: 'acme' }, 403],
  ])('%s is refused', async (_name, asked, status) => {
    const { user, tenant, of } = { tenant: undefined, of: 'default', ...asked };
    expect((await callAs(user, tenant, of)).status).toBe(status);
  });

  test('the site’s services act in every tenant, others in their own', async () => {
    expect((await callAs('grace', 'acme')).body.result).toMatchObject({ username: 'grace' });
    expect((await callAs('grace', 'acme', 'acme')).status).toBe(200);
  });

  test('a user cannot, as the wire says it', async () => {
    for (const name of ['x-tapis-user', 'x-tapis-tenant']) {
      const answer = await bench.as('root')('GET', '/v3/pods', { headers: { [name]: 'ada' } });
      expect(answer.status).toBe(400);
      expect(answer.body.message).toBe(
        'Invalid request; cannot set OBO headers with a user token.',
      );
    }
  });
});
