import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, SignJWT } from 'jose';
import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest';
import type { Answer, Bench } from '../../test/api/bench.ts';
import { openBench } from '../../test/api/bench.ts';

/** Tokens that others issue, with keys from a URL, and from a PEM. */

const idp = 'https://login.example/realms/one';
const site = 'https://tapis.example/v3/tokens';
const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 });

let bench: Bench;
let server: http.Server;
let keys: { readonly kid: string; readonly pair: ReturnType<typeof rsa> }[];
let fetches = 0;
let isDown = false;
const pem = rsa();

beforeAll(async () => {
  keys = [{ kid: 'one', pair: rsa() }];
  server = http.createServer((_request, response) => void answerKeys(response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}, 30_000);

async function answerKeys(response: http.ServerResponse): Promise<void> {
  fetches += 1;
  if (isDown) {
    response.writeHead(503).end();
    return;
  }
  const jwks = keys.map(async ({ kid, pair }) => ({
    ...(await exportJWK(pair.publicKey)),
    kid,
    alg: 'RS256',
  }));
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ keys: await Promise.all(jwks) }));
}

beforeEach(async () => {
  bench = await openBench();
  isDown = false;
  fetches = 0;
  await bench.addUser('root', 'pass word', true);
  const { port } = server.address() as AddressInfo;
  const issuers = [
    {
      issuer: idp,
      jwks_uri: `http://127.0.0.1:${port}/keys`,
      audience: 'podgate',
      username_claim: 'preferred_username',
    },
    { issuer: site, public_key: pem.publicKey.export({ type: 'spki', format: 'pem' }) },
  ];
  const body = { issuers, admins: ['grace'], allowed_users: ['ada'] };
  const put = await bench.as('root')('PUT', '/v3/tenants/default', { body });
  expect(put.status).toBe(200);
  return () => bench.close();
});

afterAll(() => server.close());

const nowSeconds = (): number => bench.clock.nowMs() / 1000;

function sign(claims: object, key: KeyObject, header: object = {}): Promise<string> {
  const times = { iat: nowSeconds(), exp: nowSeconds() + 600 };
  const jwt = new SignJWT({ ...times, ...claims });
  return jwt.setProtectedHeader({ alg: 'RS256', ...header }).sign(key);
}
const fromUrl = (changes: object = {}, kid = 'one'): Promise<string> => {
  const claims = { iss: idp, aud: 'podgate', preferred_username: 'ada', ...changes };
  const key = keys.find((one) => one.kid === kid) ?? { pair: pem };
  return sign(claims, key.pair.privateKey, { kid });
};
const fromPem = (changes: object = {}): Promise<string> => {
  const tapis = { 'tapis/tenant_id': 'default', 'tapis/username': 'ada' };
  return sign({ iss: site, ...tapis, ...changes }, pem.privateKey);
};
const userinfo = (token: string): Promise<Answer> =>
  bench.call('GET', '/v3/oauth2/userinfo', { headers: { 'x-tapis-token': token } });

test('a token of either issuer lets its user in', async () => {
  for (const token of [await fromUrl(), await fromPem()]) {
    const answer = await userinfo(token);
    expect(answer.status).toBe(200);
    expect(answer.body.result).toMatchObject({ username: 'ada' });
  }
  const headers = { 'x-tapis-token': await fromUrl() };
  const body = { pod_id: 'mine', image: 'podgate/hello' };
  expect((await bench.call('POST', '/v3/pods', { headers, body })).status).toBe(200);
  expect(fetches).toBe(1);
});

describe('a token is refused', () => {
  test.each([
    ['for another audience', () => fromUrl({ aud: 'others' }), 401],
    ['for no audience', () => fromUrl({ aud: undefined }), 401],
    ['for an audience where none is agreed', () => fromPem({ aud: 'podgate' }), 401],
    ['of another tenant', () => fromPem({ 'tapis/tenant_id': 'acme' }), 401],
    ['that names no tenant nor audience', () => fromPem({ 'tapis/tenant_id': undefined }), 401],
    ['to refresh with', () => fromPem({ 'tapis/token_type': 'refresh' }), 401],
    ['of a service', () => fromPem({ 'tapis/account_type': 'service' }), 401],
    ['that is late', () => fromUrl({ exp: nowSeconds() - 1 }), 401],
    ['without an end', () => fromUrl({ exp: undefined }), 401],
    ['without a name', () => fromUrl({ preferred_username: undefined }), 401],
    ['for everybody', () => fromUrl({ preferred_username: '*' }), 401],
    ['for a whole tenant', () => fromUrl({ preferred_username: 'tenant.acme' }), 401],
    ['by a key that is not theirs', () => fromUrl({}, 'unheard-of'), 401],
    ['of an unknown issuer', () => fromUrl({ iss: 'https://elsewhere.example/' }), 401],
    ['with the keys of the other issuer', () => fromUrl({ iss: site }), 401],
    ['of a user who is not on the list', () => fromUrl({ preferred_username: 'eve' }), 403],
    ['of a user with the name of ours', () => fromUrl({ preferred_username: 'root' }), 403],
  ])('%s', async (_name, token, status) => {
    expect((await userinfo(await token())).status).toBe(status);
  });

  test('without a signature, or with the public key as a secret', async () => {
    const claims = { iss: site, 'tapis/tenant_id': 'default', 'tapis/username': 'ada' };
    const text = pem.publicKey.export({ type: 'spki', format: 'pem' });
    const hmac = new SignJWT({ ...claims, exp: nowSeconds() + 60 }).setProtectedHeader({
      alg: 'HS256',
    });
    expect((await userinfo(await hmac.sign(Buffer.from(text)))).status).toBe(401);
    const [head, payload] = (await fromPem()).split('.');
    expect((await userinfo(`${head}.${payload}.`)).status).toBe(401);
  });
});

test('who is named an admin is one, listed or not, until the list changes', async () => {
  const headers = { 'x-tapis-token': await fromUrl({ preferred_username: 'grace' }) };
  expect((await bench.call('GET', '/v3/oauth2/users', { headers })).status).toBe(200);
  await bench.as('root')('PUT', '/v3/tenants/default', { body: { admins: [] } });
  expect((await bench.call('GET', '/v3/oauth2/users', { headers })).status).toBe(403);
});

test('keys that cannot be fetched are an answer of 503, and known ones go on', async () => {
  isDown = true;
  expect((await userinfo(await fromUrl())).status).toBe(503);
  isDown = false;
  expect((await userinfo(await fromUrl())).status).toBe(200);
  isDown = true;
  // The library goes by the time of the machine: its keys are too old, and are asked for anew.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
  onTestFinished(() => void vi.useRealTimers());
  const before = fetches;
  expect((await userinfo(await fromUrl())).status).toBe(200);
  expect(fetches).toBe(before + 1);
  await bench.clock.advance(25 * 3_600_000);
  expect((await userinfo(await fromUrl())).status).toBe(503);
});
