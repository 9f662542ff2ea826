import { createHash } from 'node:crypto';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Answer, Bench } from '../../test/api/bench.ts';
import { openBench, origin } from '../../test/api/bench.ts';

/** Logging in and what follows: refresh, revocation, clients, and the page with its codes. */

let bench: Bench;
const password = 'correct horse';
const callback = 'https://app.example.org/back';
const key = 'a-key-of-some-length';

interface Pair {
  readonly access_token: { readonly access_token: string; readonly jti: string };
  readonly refresh_token: { readonly refresh_token: string; readonly expires_in: number };
}

beforeAll(async () => {
  bench = await openBench();
  for (const name of ['ada', 'bob', 'admin']) await bench.addUser(name, password, name === 'admin');
  const client = {
    client_id: 'app',
    client_key: key,
    callback_url: callback,
    display_name: 'An <App>',
  };
  await bench.as('ada')('POST', '/v3/oauth2/clients', { body: client });
}, 30_000);

afterAll(() => bench.close());

const post = (path: string, body: object, headers = {}): Promise<Answer> =>
  bench.call('POST', `/v3/oauth2${path}`, { body, headers });
const token = (body: object, headers = {}): Promise<Answer> => post('/tokens', body, headers);
const pairOf = (answer: Answer): Pair => answer.body.result as Pair;
const login = async (more = {}): Promise<Pair> =>
  pairOf(await token({ grant_type: 'password', username: 'ada', password, ...more }));
const refresh = (refresh_token: string, more = {}): Promise<Answer> =>
  token({ grant_type: 'refresh_token', refresh_token, ...more });
const works = async (access: string): Promise<boolean> => {
  const headers = { 'x-tapis-token': access };
  return (await bench.call('GET', '/v3/pods', { headers })).status === 200;
};

describe('a refresh token', () => {
  test('gives new tokens once; used again it ends the session with all its tokens', async () => {
    const first = await login();
    const answer = await refresh(first.refresh_token.refresh_token);
    expect(answer.status).toBe(200);
    expect(answer.headers['cache-control']).toBe('no-store');
    const second = pairOf(answer);
    expect(second.refresh_token.expires_in).toBe(14 * 24 * 3600);
    expect(await works(first.access_token.access_token)).toBe(true);
    expect(await works(second.access_token.access_token)).toBe(true);
    expect((await refresh(first.refresh_token.refresh_token)).status).toBe(401);
    expect((await refresh(second.refresh_token.refresh_token)).status).toBe(401);
    expect(await works(first.access_token.access_token)).toBe(false);
    expect(await works(second.access_token.access_token)).toBe(false);
  });

  test('used several times at once gives tokens once', async () => {
    const { refresh_token: given } = await login();
    const answers = await Promise.all([1, 2, 3].map(() => refresh(given.refresh_token)));
    const statuses = answers.map(({ status }) => String(status));
    expect(statuses.toSorted()).toEqual(['200', '401', '401']);
  });

  test('is no access token, and an access token is none', async () => {
    const pair = await login();
    expect(await works(pair.refresh_token.refresh_token)).toBe(false);
    expect((await refresh(pair.access_token.access_token)).status).toBe(401);
    expect((await refresh('nonsense')).status).toBe(401);
  });

  test('of a client is good for that client alone', async () => {
    const credentials = { client_id: 'app', client_key: key };
    const { refresh_token: given } = await login(credentials);
    expect((await refresh(given.refresh_token)).status).toBe(401);
    const wrong = { ...credentials, client_key: 'another-key-of-length' };
    expect((await refresh(given.refresh_token, wrong)).status).toBe(401);
    expect((await refresh(given.refresh_token, credentials)).status).toBe(200);
  });
});

describe('revocation', () => {
  test('of an access token ends it alone', async () => {
    const pair = await login();
    const answer = await post('/tokens/revoke', { token: pair.access_token.access_token });
    expect(answer.body).toMatchObject({ status: 'success', message: 'Token is revoked.' });
    expect(await works(pair.access_token.access_token)).toBe(false);
    expect((await refresh(pair.refresh_token.refresh_token)).status).toBe(200);
  });

  test('of a refresh token ends all that came of it', async () => {
    const pair = await login();
    await post('/tokens/revoke', { token: pair.refresh_token.refresh_token });
    expect(await works(pair.access_token.access_token)).toBe(false);
    expect((await refresh(pair.refresh_token.refresh_token)).status).toBe(401);
  });

  test('of nonsense succeeds, and what has expired is forgotten', async () => {
    expect((await post('/tokens/revoke', { token: 'nonsense' })).status).toBe(200);
    const pair = await login();
    await post('/tokens/revoke', { token: pair.refresh_token.refresh_token });
    expect((await bench.store.list('sessions')).length).toBeGreaterThan(0);
    await bench.clock.advance(15 * 24 * 3_600_000);
    await bench.identities.sweep();
    expect(await bench.store.list('sessions')).toEqual([]);
    expect(await bench.store.list('revoked-tokens')).toEqual([]);
  });
});

const as = (
  who: string,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  id: string,
  body?: object,
): Promise<Answer> => bench.as(who)(method, `/v3/oauth2/clients${id}`, body ? { body } : {});

describe('clients', () => {
  test('are made, changed and deleted by their owner, and the key is shown once', async () => {
    const made = await as('bob', 'POST', '', { callback_url: callback });
    const { client_id: id, client_key: shown } = made.body.result as Record<string, string>;
    expect(shown).toMatch(/^[\w-]{32}$/);
    const got = await as('bob', 'GET', `/${id}`);
    expect(got.body.result).not.toHaveProperty('client_key');
    expect(JSON.stringify(await bench.store.list('oauth-clients'))).not.toContain(shown);
    const changed = await as('bob', 'PUT', `/${id}`, { display_name: 'Bobs' });
    expect(changed.body.result).toMatchObject({ display_name: 'Bobs', callback_url: callback });
    expect((await as('ada', 'GET', `/${id}`)).status).toBe(404);
    expect((await as('ada', 'PUT', `/${id}`, { display_name: 'x' })).status).toBe(404);
    expect((await as('ada', 'DELETE', `/${id}`)).status).toBe(404);
    const listed = async (who: string) => (await as(who, 'GET', '')).body.result as object[];
    expect(await listed('bob')).toHaveLength(1);
    expect(await listed('admin')).toHaveLength(2);
    expect((await as('bob', 'DELETE', `/${id}`)).body.result).toBe('');
    expect(await listed('bob')).toHaveLength(0);
  });

  test.each([
    'http://app.example.org/',
    'https://app.example.org/#part',
    'https://user:pass@app.example.org/',
    'javascript:alert(1)',
    '/relative',
  ])('are refused with the callback %s', async (callback_url) => {
    expect((await as('bob', 'POST', '', { callback_url })).status).toBe(400);
  });

  test('of one name are there once', async () => {
    const answer = await as('bob', 'POST', '', { client_id: 'app', callback_url: callback });
    expect(answer.status).toBe(409);
  });
});

const verifier = 'v'.repeat(43);
const challenge = createHash('sha256').update(verifier).digest('base64url');
const pkce = { code_challenge: challenge, code_challenge_method: 'S256' };
const asked = { client_id: 'app', redirect_uri: callback, response_type: 'code', state: 's&1' };
const form = (fields: object, headers = {}): Promise<Answer> =>
  bench.call('POST', '/v3/oauth2/authorize', {
    body: String(new URLSearchParams(fields as Record<string, string>)),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  });
const codeFor = async (more = {}): Promise<string> => {
  const answer = await form({ ...asked, ...more, username: 'ada', password });
  expect(answer.status).toBe(303);
  return new URL(String(answer.headers['location'])).searchParams.get('code') ?? '';
};
const redeem = (code: string, more: object = {}): Promise<Answer> =>
  token({
    grant_type: 'authorization_code',
    code,
    redirect_uri: callback,
    client_id: 'app',
    client_secret: key,
    ...more,
  });

const page = (query: object): Promise<Answer> =>
  bench.call('GET', `/v3/oauth2/authorize?${String(new URLSearchParams(query as typeof asked))}`);

describe('the login page', () => {
  test('says to whom, shows nothing as markup, and can be framed or styled by nobody', async () => {
    const answer = await page({ ...asked, state: '"><script>' });
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('Log in to An &lt;App&gt;');
    expect(answer.text).toContain('app.example.org');
    expect(answer.text).toContain('registered by <b>ada</b>');
    expect(answer.text).toContain('value="&quot;&gt;&lt;script&gt;"');
    expect(answer.text).not.toContain('<script>');
    const policy = String(answer.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("form-action 'self' https://app.example.org");
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  test.each([
    [{ client_id: 'other' }, 'client_id'],
    [{ redirect_uri: `${callback}/more` }, 'redirect_uri'],
    [{ redirect_uri: 'https://evil.example' }, 'redirect_uri'],
    [{ response_type: 'token' }, 'response_type'],
    [{ code_challenge: challenge }, 'code_challenge_method'],
    [{ code_challenge: 'x', code_challenge_method: 'plain' }, 'code_challenge'],
  ])('is not shown, and nothing is sent on, with %j', async (more, field) => {
    for (const answer of [
      await page({ ...asked, ...more }),
      await form({ ...asked, ...more, username: 'ada', password }),
    ]) {
      expect(answer.status).toBe(400);
      expect(String(answer.body.message)).toContain(field);
      expect(answer.headers['location']).toBeUndefined();
    }
  });

  test('comes again after a wrong password, without repeating it', async () => {
    const answer = await form({ ...asked, username: 'ada', password: 'wr0ng-one' });
    expect(answer.status).toBe(401);
    expect(answer.text).toContain('Invalid username/password combination.');
    expect(answer.text).toContain('value="ada"');
    expect(answer.text).not.toContain('wr0ng-one');
  });

  test('takes no form of another site', async () => {
    const fields = { ...asked, username: 'ada', password };
    expect((await form(fields, { origin: 'https://evil.example' })).status).toBe(403);
    expect((await form(fields, { origin: 'null' })).status).toBe(403);
    expect((await form(fields, { origin })).status).toBe(303);
  });
});

describe('an authorization code', () => {
  test('comes with state and issuer, and gives tokens to the client by Basic', async () => {
    const answer = await form({ ...asked, ...pkce, username: 'ada', password });
    const target = new URL(String(answer.headers['location']));
    expect(target.origin + target.pathname).toBe(callback);
    expect(target.searchParams.get('state')).toBe('s&1');
    expect(target.searchParams.get('iss')).toBe(`${origin}/v3/oauth2`);
    const basic = Buffer.from(`app:${key}`).toString('base64');
    const given = await token(
      {
        grant_type: 'authorization_code',
        code: target.searchParams.get('code'),
        redirect_uri: callback,
        code_verifier: verifier,
      },
      { authorization: `Basic ${basic}` },
    );
    expect(given.status).toBe(200);
    expect(await works(pairOf(given).access_token.access_token)).toBe(true);
    expect(pairOf(given)).not.toHaveProperty('session');
  });

  test('used again ends what came of the first use', async () => {
    const code = await codeFor();
    const { access_token: access } = pairOf(await redeem(code));
    expect(await works(access.access_token)).toBe(true);
    expect((await redeem(code)).status).toBe(400);
    expect(await works(access.access_token)).toBe(false);
  });

  test('is good for a minute', async () => {
    const code = await codeFor();
    await bench.clock.advance(60_000);
    expect((await redeem(code)).status).toBe(400);
  });

  test.each([
    ['another address', {}, { redirect_uri: `${callback}/x` }],
    ['no verifier', pkce, {}],
    ['another verifier', pkce, { code_verifier: 'w'.repeat(43) }],
    ['a verifier although no challenge came', {}, { code_verifier: verifier }],
  ])('is refused with %s', async (_name, before, after) => {
    expect((await redeem(await codeFor(before), after)).status).toBe(400);
  });

  test('is refused to a client with another key, without one, and to another client', async () => {
    const code = await codeFor();
    expect((await redeem(code, { client_secret: 'not-the-key-of-app' })).status).toBe(401);
    const { client_id: _id, ...nobody } = { client_id: 'app' };
    expect((await redeem(code, { ...nobody, client_id: undefined })).status).toBe(401);
    const other = { client_id: 'other', client_key: key, callback_url: callback };
    await bench.as('bob')('POST', '/v3/oauth2/clients', { body: other });
    expect((await redeem(code, { client_id: 'other' })).status).toBe(400);
    expect((await redeem(code)).status).toBe(200);
  });
});

test('the well-known documents say where everything is, and the keys verify our tokens', async () => {
  const { text } = await bench.call('GET', '/v3/oauth2/.well-known/oauth-authorization-server');
  const found = JSON.parse(text) as Record<string, string>;
  expect(found).toMatchObject({
    issuer: `${origin}/v3/oauth2`,
    token_endpoint: `${origin}/v3/oauth2/tokens`,
    code_challenge_methods_supported: ['S256'],
  });
  const path = new URL(found['jwks_uri'] ?? '').pathname;
  const keys = createLocalJWKSet(JSON.parse((await bench.call('GET', path)).text));
  const { access_token: access } = await login();
  const options = { currentDate: new Date(bench.clock.nowMs()) };
  const { payload } = await jwtVerify(access.access_token, keys, options);
  expect(payload['tapis/username']).toBe('ada');
});

test('the users of the tenant have profiles', async () => {
  const { body } = await bench.as('bob')('GET', '/v3/oauth2/profiles');
  expect((body.result as { username: string }[]).map(({ username }) => username)).toEqual([
    'ada',
    'admin',
    'bob',
  ]);
});

test('no secret is logged', async () => {
  expect(JSON.stringify([bench.logged, bench.traced])).not.toMatch(/correct horse|a-key-of-some/);
});
