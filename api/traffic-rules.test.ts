import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Bench } from '../test/api/bench.ts';
import { openBench } from '../test/api/bench.ts';

/** Pages of other origins, and callers who ask too often. */

let bench: Bench;
const page = { origin: 'https://app.example.org' };

beforeAll(async () => {
  bench = await openBench({ requestsPerMinute: 5 });
  for (const name of ['ada', 'bob']) await bench.addUser(name, 'pass word');
}, 30_000);

afterAll(() => bench.close());

test('a page of any origin is let ask, with its token in a header', async () => {
  const asks = { ...page, 'access-control-request-method': 'PUT' };
  const preflight = await bench.call('OPTIONS', '/v3/pods/mine', {
    headers: { ...asks, 'access-control-request-headers': 'x-tapis-token' },
  });
  expect([preflight.status, preflight.text]).toEqual([204, '']);
  expect(preflight.headers).toMatchObject({
    'access-control-allow-origin': '*',
    'access-control-allow-methods': 'GET, HEAD, POST, PUT, DELETE',
    'access-control-allow-headers': expect.stringContaining('X-Tapis-Token'),
  });
  expect(preflight.headers).not.toHaveProperty('access-control-allow-credentials');
  const answer = await bench.as('bob')('GET', '/v3/pods', { headers: page });
  expect(answer.headers['access-control-allow-origin']).toBe('*');
  expect(answer.headers['access-control-expose-headers']).toContain('ETag');
  const refused = await bench.call('GET', '/v3/pods', { headers: page });
  expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([401, '*']);
});

test('a user who asks too often is told to wait, and nobody else', async () => {
  const statuses: number[] = [];
  for (let time = 0; time < 6; time += 1)
    statuses.push((await bench.as('ada')('GET', '/v3/pods')).status);
  expect(statuses).toEqual([200, 200, 200, 200, 200, 429]);
  const told = await bench.as('ada')('GET', '/v3/pods');
  expect(told.body).toMatchObject({ status: 'error', result: null });
  expect(String(told.body.message)).toContain('more than 5 in a minute');
  expect(Number(told.headers['retry-after'])).toBeGreaterThan(0);
  expect((await bench.as('bob')('GET', '/v3/pods')).status).toBe(200);
  expect((await bench.call('GET', '/v3/healthcheck')).status).toBe(200);
});

test('an Idempotency-Key that came too often is not answered so from then on', async () => {
  await bench.addUser('eve', 'pass word');
  for (let time = 0; time < 5; time += 1) await bench.as('eve')('GET', '/v3/pods');
  const headers = { 'idempotency-key': 'late' };
  const body = { pod_id: 'late', image: 'podgate/hello' };
  expect((await bench.as('eve')('POST', '/v3/pods', { headers, body })).status).toBe(429);
  expect(await bench.store.list('idempotency-keys')).toEqual([]);
});

test('logins are counted apart, since each costs much more', async () => {
  const many = await openBench({ requestsPerMinute: 1000 });
  const statuses: number[] = [];
  const body = { grant_type: 'refresh_token', refresh_token: 'none' };
  for (let time = 0; time < 61; time += 1)
    statuses.push((await many.call('POST', '/v3/oauth2/tokens', { body })).status);
  expect(statuses.filter((status) => status === 401)).toHaveLength(60);
  expect(statuses.at(-1)).toBe(429);
  const elsewhere = await many.call('POST', '/v3/oauth2/tokens', { body, from: '192.0.2.8' });
  expect(elsewhere.status).toBe(401);
  expect((await many.call('GET', '/v3/healthcheck')).status).toBe(200);
  await many.close();
});

test('callers without a token are counted by address', async () => {
  const from = '192.0.2.9';
  const statuses: number[] = [];
  for (let time = 0; time < 6; time += 1)
    statuses.push((await bench.call('GET', '/v3/healthcheck', { from })).status);
  expect(statuses).toEqual([200, 200, 200, 200, 200, 429]);
});

test('who has no valid token is told to wait in the end, who has one is not', async () => {
  const from = '192.0.2.50';
  const guess = async (headers: Record<string, string>) =>
    bench.call('GET', '/v3/pods', { headers, from });
  const statuses: number[] = [];
  for (let time = 0; time < 3; time += 1) statuses.push((await guess({})).status);
  for (let time = 0; time < 3; time += 1)
    statuses.push((await guess({ 'x-tapis-token': 'eyJhbGciOiJSUzI1NiJ9.e30.x' })).status);
  expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);
  const told = await guess({ authorization: 'Bearer forged' });
  expect(told.body).toMatchObject({ status: 'error', result: null });
  expect(Number(told.headers['retry-after'])).toBeGreaterThan(0);
  await bench.addUser('joe', 'pass word');
  expect((await bench.as('joe')('GET', '/v3/pods', { from })).status).toBe(200);
  const elsewhere = await bench.call('GET', '/v3/pods', { from: '192.0.2.51' });
  expect(elsewhere.status).toBe(401);
});
