import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { Answer, Bench } from '../../test/api/bench.ts';
import { openBench } from '../../test/api/bench.ts';
import { LoginThrottle } from './throttle.ts';

/** Users as admins see to them: and which tokens count after what was changed. */

let bench: Bench;
const password = 'correct horse';
const newWord = 'battery staple';

beforeEach(async () => {
  await bench?.close();
  bench = await openBench();
  await bench.addUser('root', password, true);
  await bench.addUser('ada', password);
}, 30_000);

afterAll(() => bench.close());

interface Pair {
  readonly access_token: { readonly access_token: string };
  readonly refresh_token: { readonly refresh_token: string };
}
const login = (word = password, username = 'ada'): Promise<Answer> =>
  bench.call('POST', '/v3/oauth2/tokens', {
    body: { grant_type: 'password', username, password: word },
  });
const pairOf = (answer: Answer): Pair => answer.body.result as Pair;
const use = async ({ access_token: access, refresh_token: refresh }: Pair) => {
  const headers = { 'x-tapis-token': access.access_token };
  const body = { grant_type: 'refresh_token', refresh_token: refresh.refresh_token };
  const statuses = [
    (await bench.call('GET', '/v3/pods', { headers })).status,
    (await bench.call('POST', '/v3/oauth2/tokens', { body })).status,
  ];
  return statuses.join(' ');
};
const change = (body: object, username = 'ada') =>
  bench.as('root')('PUT', `/v3/oauth2/users/${username}`, { body });

test('a user is made, changed, shown and deleted', async () => {
  const root = bench.as('root');
  const body = { username: 'grace', password, email: 'g@example.org', given_name: 'Grace' };
  const made = await root('POST', '/v3/oauth2/users', { body });
  expect(made.body.result).toMatchObject({ username: 'grace', admin: false, disabled: false });
  expect(made.text).not.toContain(password);
  expect((await root('POST', '/v3/oauth2/users', { body })).status).toBe(409);
  expect((await login(password, 'grace')).status).toBe(200);
  const profile = await root('GET', '/v3/oauth2/profiles/grace');
  expect(profile.body.result).toMatchObject({ email: 'g@example.org', given_name: 'Grace' });
  expect((await change({ last_name: 'Hopper' }, 'grace')).body.result).toMatchObject({
    last_name: 'Hopper',
    given_name: 'Grace',
  });
  expect((await root('DELETE', '/v3/oauth2/users/grace')).status).toBe(200);
  expect((await root('GET', '/v3/oauth2/users/grace')).status).toBe(404);
  expect((await login(password, 'grace')).status).toBe(401);
});

test.each([
  [{ username: '*', password }, 'body, username'],
  [{ username: 'tenant.acme', password }, 'body, username'],
  [{ username: 'a/b', password }, 'body, username'],
  [{ username: 'grace', password: 'short' }, 'body, password'],
  [{ username: 'grace' }, 'body, password'],
])('%j is refused by name', async (body, place) => {
  const answer = await bench.as('root')('POST', '/v3/oauth2/users', { body });
  expect(answer.status).toBe(400);
  expect(String(answer.body.message)).toContain(place);
});

describe('tokens of before', () => {
  test('end with a new password, by the admin or by the user', async () => {
    const first = pairOf(await login());
    await bench.clock.advance(1_000);
    await change({ password: newWord });
    expect(await use(first)).toBe('401 401');
    const second = pairOf(await login(newWord));
    expect(await use(second)).toBe('200 200');
    await bench.clock.advance(1_000);
    const body = { old_password: newWord, new_password: password };
    expect((await bench.as('ada')('PUT', '/v3/oauth2/password', { body })).status).toBe(200);
    expect(await use(second)).toBe('401 401');
    expect((await login(newWord)).status).toBe(401);
    expect((await login()).status).toBe(200);
  });

  test('do not count while the user is disabled', async () => {
    const pair = pairOf(await login());
    await change({ disabled: true });
    expect(await use(pair)).toBe('401 401');
    expect((await login()).status).toBe(401);
    await change({ disabled: false });
    expect(await use(pair)).toBe('200 200');
  });

  test('are not those of another who gets the name', async () => {
    const pair = pairOf(await login());
    await bench.clock.advance(1_000);
    await bench.as('root')('DELETE', '/v3/oauth2/users/ada');
    expect(await use(pair)).toBe('401 401');
    const body = { username: 'ada', password: newWord };
    await bench.as('root')('POST', '/v3/oauth2/users', { body });
    expect(await use(pair)).toBe('401 401');
  });

  test('go on when something else is changed', async () => {
    const pair = pairOf(await login());
    await bench.clock.advance(1_000);
    await change({ email: 'a@example.org', admin: true });
    expect(await use(pair)).toBe('200 200');
  });
});

test('a new password needs the old one, and guessing it is slowed down like logins', async () => {
  const statuses = [];
  for (let turn = 0; turn < 12; turn += 1) {
    const body = { old_password: `guess ${turn}`, new_password: newWord };
    statuses.push((await bench.as('ada')('PUT', '/v3/oauth2/password', { body })).status);
  }
  expect(statuses).toEqual([...Array(10).fill(401), 429, 429]);
  expect((await login()).status).toBe(429);
});

test('somebody stays in charge', async () => {
  const root = bench.as('root');
  for (const body of [{ admin: false }, { disabled: true }])
    expect((await change(body, 'root')).status).toBe(409);
  expect((await root('DELETE', '/v3/oauth2/users/root')).status).toBe(409);
  await change({ admin: true });
  expect((await change({ admin: false }, 'root')).status).toBe(200);
});

test('what was guessed is remembered by an api that starts anew', async () => {
  for (let turn = 0; turn < 10; turn += 1) await login('wrong word');
  const another = new LoginThrottle(bench);
  expect(await another.try(JSON.stringify(['default', 'ada']))).toBe(60);
  await bench.clock.advance(60_000);
  expect((await login()).status).toBe(200);
  await bench.clock.advance(61_000);
  await bench.identities.sweep();
  expect(await bench.store.list('login-tries')).toEqual([]);
});
