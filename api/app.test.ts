import {
  decodeJwt,
  decodeProtectedHeader,
  importSPKI,
  jwtVerify,
  SignJWT,
  UnsecuredJWT,
} from 'jose';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rootId, signers } from '#contracts/authority.ts';
import { collection } from '#contracts/store.ts';
import { z } from 'zod';
import { zSealed } from '#contracts/sealer.ts';
import type { Answer, Bench, Call } from '../test/api/bench.ts';
import { openBench, origin } from '../test/api/bench.ts';

let bench: Bench;
const password = 'correct horse battery staple';

beforeAll(async () => {
  bench = await openBench();
  await Promise.all([
    bench.addUser('ada', password),
    bench.addUser('eve', password),
    bench.addUser('gone', password),
  ]);
  await bench.as('ada')('POST', '/v3/pods', { body: { pod_id: 'first', image: 'podgate/hello' } });
}, 30_000);

afterAll(() => bench.close());

const envelopeKeys = ['message', 'metadata', 'result', 'status', 'version'];

function expectEnvelope(answer: Answer, status: 'success' | 'error'): void {
  expect(answer.headers['content-type']).toBe('application/json');
  expect(Object.keys(answer.body).toSorted()).toEqual(envelopeKeys);
  expect(answer.body).toMatchObject({ status, version: '0.1.0', metadata: {} });
  if (status === 'error') expect(answer.body.result).toBeNull();
}

const login = (username: string, secret: string, call: Call = {}): Promise<Answer> =>
  bench.call('POST', '/v3/oauth2/tokens', {
    body: { username, password: secret, grant_type: 'password' },
    ...call,
  });

const json = { 'content-type': 'application/json' };

describe('every JSON answer', () => {
  test.each([
    ['GET', '/v3/sites'],
    ['GET', '/v3/tenants'],
    ['GET', '/v3/healthcheck'],
    ['GET', '/v3/oauth2/userinfo'],
    ['GET', '/v3/oauth2/profiles/eve'],
    ['GET', '/v3/pods'],
    ['GET', '/v3/pods/'],
    ['GET', '/v3/pods/first'],
    ['GET', '/v3/pods/first/permissions'],
  ] as const)('%s %s is an envelope of exactly application/json', async (method, url) => {
    const answer = await bench.as('ada')(method, url);
    expect(answer.status).toBe(200);
    expectEnvelope(answer, 'success');
  });

  const errors: readonly (readonly [string, number, () => Promise<Answer>])[] = [
    ['no token', 401, () => bench.call('GET', '/v3/pods')],
    ['a pod of another', 403, () => bench.as('eve')('GET', '/v3/pods/first')],
    ['an unknown route', 404, () => bench.call('GET', '/v3/nothing')],
    ['an unknown method', 405, () => bench.call('DELETE', '/v3/pods')],
    ['an unknown pod', 404, () => bench.as('ada')('GET', '/v3/pods/nosuch')],
    ['an unknown profile', 404, () => bench.as('ada')('GET', '/v3/oauth2/profiles/nosuch')],
    [
      'a pod_id that is taken',
      409,
      () =>
        bench.as('ada')('POST', '/v3/pods', { body: { pod_id: 'first', image: 'podgate/hello' } }),
    ],
    ['a body that is not valid', 400, () => bench.as('ada')('POST', '/v3/pods', { body: {} })],
    ['a path that does not decode', 400, () => bench.as('ada')('GET', '/v3/pods/%zz')],
  ];

  test.each(errors)('%s is %i in an envelope', async (_name, status, ask) => {
    const answer = await ask();
    expect(answer.status).toBe(status);
    expectEnvelope(answer, 'error');
  });
});

describe('a body that cannot be read', () => {
  test.each([
    ['broken JSON', { body: '{"pod_id":', headers: json }, 400, 'body: is not valid JSON'],
    [
      'an empty JSON body',
      { body: '', headers: json },
      400,
      'body: is empty, expected a JSON object',
    ],
    [
      'another media type',
      { body: 'pod_id: x', headers: { 'content-type': 'text/yaml' } },
      400,
      'body: send it with Content-Type: application/json',
    ],
    [
      'a body of more than its route takes',
      { body: JSON.stringify({ pod_id: 'x'.repeat(1024 * 1024) }), headers: json },
      413,
      'body: is larger than 1024 KiB',
    ],
    [
      'a name that would change a prototype',
      { body: '{"__proto__": {"admin": true}}', headers: json },
      400,
      'body: is not valid JSON',
    ],
  ])('%s is refused with the reason', async (_name, call, status, text) => {
    const answer = await bench.as('ada')('POST', '/v3/pods', call);
    expect(answer.status).toBe(status);
    expectEnvelope(answer, 'error');
    expect(answer.body.message).toEqual([text]);
  });

  test.each([
    ['a list', '[]', 'body: '],
    ['text', '"pod"', 'body: '],
    ['null', 'null', 'body: '],
  ])('%s instead of an object is refused', async (_name, body, start) => {
    const answer = await bench.as('ada')('POST', '/v3/pods', { body, headers: json });
    expect(answer.status).toBe(400);
    expectEnvelope(answer, 'error');
    expect(answer.body.message[0]).toContain(start);
  });

  test('a missing body is refused', async () => {
    const answer = await bench.as('ada')('POST', '/v3/pods');
    expect(answer.status).toBe(400);
    expectEnvelope(answer, 'error');
  });

  test('a stranger is refused before the body is looked at', async () => {
    for (const call of [
      { body: '{', headers: json },
      { body: '', headers: json },
    ]) {
      const answer = await bench.call('POST', '/v3/pods', call);
      expect(answer.status).toBe(401);
    }
  });
});

const bases = async (call: Call): Promise<unknown[]> => {
  const sites = await bench.call('GET', '/v3/sites', call);
  const tenants = await bench.call('GET', '/v3/tenants', call);
  return [sites, tenants].map(({ body }) => (body.result as { base_url: string }[])[0]?.base_url);
};

describe('sites and tenants', () => {
  test('name the origin the client used, as it wrote it', async () => {
    expect(await bases({})).toEqual([origin, origin]);
    const host = 'localhost:8443';
    expect(await bases({ headers: { host } })).toEqual([`http://${host}`, `http://${host}`]);
  });

  test('take the forwarded origin from the gateway on this machine', async () => {
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'localhost:8443' };
    const base = 'https://localhost:8443';
    expect(await bases({ headers })).toEqual([base, base]);
    expect(await bases({ headers, from: '::1' })).toEqual([base, base]);
  });

  test('do not believe a forwarded origin from elsewhere', async () => {
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'evil.test' };
    expect(await bases({ headers, from: '192.0.2.7' })).toEqual([origin, origin]);
  });

  test('a tenant belongs to the site and carries the key that verifies tokens', async () => {
    const [site] = (await bench.call('GET', '/v3/sites')).body.result as { site_id: string }[];
    const [found] = (await bench.call('GET', '/v3/tenants')).body.result as {
      tenant_id: string;
      site_id: string;
      public_key: string;
    }[];
    expect(found).toMatchObject({ tenant_id: 'default', site_id: site?.site_id });
    const token = await bench.tokenOf('ada');
    const key = await importSPKI(String(found?.public_key), 'RS256');
    const currentDate = new Date(bench.clock.nowMs());
    await expect(
      jwtVerify(token, key, { currentDate, algorithms: ['RS256'] }),
    ).resolves.toBeDefined();
  });
});

describe('POST /v3/oauth2/tokens', () => {
  test('gives a token whose claims say who, where and until when', async () => {
    const answer = await login('ada', password);
    expect(answer.status).toBe(200);
    expectEnvelope(answer, 'success');
    expect(answer.headers['cache-control']).toBe('no-store');
    const { access_token: issued } = answer.body.result as {
      access_token: { access_token: string; expires_at: string; expires_in: number; jti: string };
    };
    const now = bench.clock.nowMs() / 1000;
    expect(issued).toMatchObject({
      expires_in: 14_400,
      expires_at: '2026-01-01T16:00:00.000+00:00',
      jti: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    expect(decodeProtectedHeader(issued.access_token)).toEqual({ alg: 'RS256', typ: 'JWT' });
    expect(decodeJwt(issued.access_token)).toEqual({
      jti: issued.jti,
      iss: `${origin}/v3/tokens`,
      sub: 'ada@default',
      iat: now,
      exp: now + 14_400,
      'tapis/tenant_id': 'default',
      'tapis/token_type': 'access',
      'tapis/delegation': false,
      'tapis/delegation_sub': null,
      'tapis/username': 'ada',
      'tapis/account_type': 'user',
    });
    const me = await bench.call('GET', '/v3/oauth2/userinfo', {
      headers: { 'x-tapis-token': issued.access_token },
    });
    expect(me.body.result).toMatchObject({ username: 'ada' });
  });

  test('takes a form as RFC 6749 clients send it', async () => {
    const body = new URLSearchParams({ grant_type: 'password', username: 'ada', password });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const answer = await bench.call('POST', '/v3/oauth2/tokens', { body: String(body), headers });
    expect(answer.status).toBe(200);
    expect(answer.body.result).toHaveProperty('access_token.access_token');
  });

  test('answers a wrong password and an unknown user alike', async () => {
    const wrong = await login('ada', 'wrong');
    const unknown = await login('nobody', 'wrong');
    expect([wrong.status, unknown.status]).toEqual([401, 401]);
    expectEnvelope(wrong, 'error');
    expect(unknown.body).toEqual(wrong.body);
  });

  test.each([
    [
      { username: 'ada', password },
      ['body, grant_type: must be password, refresh_token or authorization_code'],
    ],
    [
      { username: 'ada', password, grant_type: 'code' },
      ['body, grant_type: must be password, refresh_token or authorization_code'],
    ],
    [{ grant_type: 'password', password }, ['body, username: Field required']],
    [{ grant_type: 'password', username: 'ada', password: '' }, ['body, password: is empty']],
    [
      { grant_type: 'password', username: 'ada', password, scope: 'all' },
      ['body, scope: Unknown field, remove it'],
    ],
  ])('refuses %j', async (body, message) => {
    const answer = await bench.call('POST', '/v3/oauth2/tokens', { body });
    expect(answer.status).toBe(400);
    expectEnvelope(answer, 'error');
    expect(answer.body.message).toEqual(message);
  });

  test('is closed to a name after ten failures, for a minute, and to no other name', async () => {
    for (let tries = 0; tries < 10; tries += 1) {
      expect((await login('eve', 'wrong')).status).toBe(401);
    }
    const closed = await login('eve', password);
    expect(closed.status).toBe(429);
    expectEnvelope(closed, 'error');
    expect(closed.headers['retry-after']).toBe('60');
    expect((await login('ada', password)).status).toBe(200);
    await bench.clock.advance(59_000);
    expect((await login('eve', password)).headers['retry-after']).toBe('1');
    await bench.clock.advance(1000);
    expect((await login('eve', password)).status).toBe(200);
  });

  test('guesses that are sent all at once are counted too', async () => {
    const answers = await Promise.all(Array.from({ length: 15 }, () => login('mallory', 'guess')));
    const statuses = answers.map(({ status }) => String(status)).toSorted();
    expect(statuses).toEqual([...Array(10).fill('401'), ...Array(5).fill('429')]);
  });
});

const listPods = (token: string): Promise<Answer> =>
  bench.call('GET', '/v3/pods', { headers: { 'x-tapis-token': token } });
const issueToken = (username: string): Promise<string> => bench.tokenOf(username);
const claims = (changes: object = {}) => ({
  'tapis/tenant_id': 'default',
  'tapis/token_type': 'access',
  'tapis/username': 'ada',
  'tapis/account_type': 'user',
  iat: bench.clock.nowMs() / 1000,
  exp: bench.clock.nowMs() / 1000 + 60,
  ...changes,
});

/** Signs with the tenant's own key, as only we could. */
async function signed(payload: Record<string, unknown>): Promise<string> {
  const zKey = z.object({ publicKey: z.string(), privateKey: zSealed });
  const stored = await collection(bench.store, 'signing-keys', zKey).get('default');
  if (!stored) throw new Error('no signing key');
  const pem = bench.sealer.open(stored.value.privateKey, 'signing-key/default');
  return new SignJWT(payload).setProtectedHeader({ alg: 'RS256' }).sign(createPrivateKey(pem));
}

describe('a token', () => {
  test('is taken from the Bearer scheme as well', async () => {
    const headers = { authorization: `Bearer ${await issueToken('ada')}` };
    expect((await bench.call('GET', '/v3/pods', { headers })).status).toBe(200);
  });

  test('is good with our signature and claims, and with nothing less', async () => {
    expect((await listPods(await signed(claims()))).status).toBe(200);
    const { privateKey: foreign } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const bad: Record<string, string> = {
      'another key': await new SignJWT(claims()).setProtectedHeader({ alg: 'RS256' }).sign(foreign),
      'alg none': new UnsecuredJWT(claims()).encode(),
      'the public key as an HMAC secret': await new SignJWT(claims())
        .setProtectedHeader({ alg: 'HS256' })
        .sign(Buffer.from(bench.tokens.publicKey)),
      'another tenant': await signed(claims({ 'tapis/tenant_id': 'other' })),
      'a refresh token': await signed(claims({ 'tapis/token_type': 'refresh' })),
      'no expiry': await signed(claims({ exp: undefined })),
      'another kind of account': await signed(claims({ 'tapis/account_type': 'service' })),
      'no time of issue': await signed(claims({ iat: undefined })),
      'no username': await signed(claims({ 'tapis/username': undefined })),
      'no such user': await signed(claims({ 'tapis/username': 'nosuch' })),
      'not yet': await signed(claims({ nbf: bench.clock.nowMs() / 1000 + 30 })),
      'no token': 'x.y.z',
    };
    for (const [name, token] of Object.entries(bad)) {
      const answer = await listPods(token);
      expect.soft(answer.status, name).toBe(401);
      expectEnvelope(answer, 'error');
    }
  });

  test('with one claim changed is refused', async () => {
    const [header, , signature] = (await issueToken('eve')).split('.');
    const payload = Buffer.from(JSON.stringify(claims())).toString('base64url');
    expect((await listPods(`${header}.${payload}.${signature}`)).status).toBe(401);
  });

  test('ends after four hours', async () => {
    const token = await issueToken('ada');
    await bench.clock.advance(14_399_000);
    expect((await listPods(token)).status).toBe(200);
    await bench.clock.advance(1000);
    expect((await listPods(token)).status).toBe(401);
  });

  test('ends with its user', async () => {
    const token = await issueToken('gone');
    expect((await listPods(token)).status).toBe(200);
    await bench.store.remove('users', 'default/gone', 'anything');
    expect((await listPods(token)).status).toBe(401);
  });

  test('is in no log', async () => {
    const token = await issueToken('ada');
    await listPods(token);
    await login('ada', password);
    const text = JSON.stringify([bench.logged, bench.traced]);
    expect(text).not.toContain(token);
    expect(text).not.toContain(password);
  });
});

test('a failure of ours is a 500 that says nothing about the inside, and is logged', async () => {
  bench.store.beforeNextPut = async () => {
    throw new Error('disk /var/lib is full');
  };
  const body = { pod_id: 'unlucky', image: 'podgate/hello' };
  const headers = { 'x-request-id': 'unlucky-1' };
  const answer = await bench.as('ada')('POST', '/v3/pods', { body, headers });
  expect(answer.status).toBe(500);
  expectEnvelope(answer, 'error');
  expect(answer.body.message).toBe('Unexpected error.');
  expect(bench.logged.at(-1)).toEqual({
    fields: {
      requestId: 'unlucky-1',
      method: 'POST',
      route: '/v3/pods',
      error: 'Error: disk /var/lib is full',
    },
    message: 'request failed unexpectedly',
  });
});

interface Operation {
  readonly operationId: string;
  readonly requestBody?: {
    content: Record<string, { schema: { properties: object; required: string[] } }>;
  };
}
const readDocument = async (): Promise<{
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
}> => {
  const answer = await bench.call('GET', '/v3/openapi.json');
  expect(answer.headers['content-type']).toBe('application/json');
  return JSON.parse(answer.text);
};

describe('the description of the API', () => {
  test('is OpenAPI 3.1.0 and names each operation once', async () => {
    const { openapi, paths } = await readDocument();
    expect(openapi).toBe('3.1.0');
    const ids = Object.values(paths)
      .flatMap((path) => Object.values(path))
      .map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(
      expect.arrayContaining([
        'list_pods',
        'create_pod',
        'get_pod',
        'update_pod',
        'delete_pod',
        'start_pod',
        'stop_pod',
        'restart_pod',
        'get_pod_logs',
        'get_pod_traffic',
        'get_pod_certificate',
        'rotate_pod_certificate',
        'get_pod_credentials',
        'get_pod_permissions',
        'set_pod_permission',
        'delete_pod_permission',
      ]),
    );
  });

  test('documents the fields of a new pod', async () => {
    const { paths } = await readDocument();
    const schema = paths['/v3/pods']?.['post']?.requestBody?.content['application/json']?.schema;
    expect(schema?.required).toEqual(['pod_id']);
    expect(Object.keys(schema?.properties ?? {}).toSorted()).toEqual(
      [
        'pod_id image template description command arguments environment_variables',
        'status_requested volume_mounts time_to_stop_default time_to_stop_instance networking',
        'resources compute_queue',
      ]
        .join(' ')
        .split(' ')
        .toSorted(),
    );
  });

  test('is shown as a page whose assets load', async () => {
    const page = await bench.call('GET', '/v3/docs');
    expect(page.status).toBe(200);
    expect(page.headers['content-type']).toMatch(/^text\/html/);
    const assets = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => String(url));
    expect(assets.length).toBeGreaterThan(3);
    for (const asset of assets) {
      const { pathname } = new URL(asset, `${origin}/v3/docs`);
      expect.soft((await bench.call('GET', pathname)).status, pathname).toBe(200);
    }
  });

  test('is where / leads', async () => {
    const answer = await bench.call('GET', '/');
    expect([answer.status, answer.headers['location']]).toEqual([302, '/v3/docs']);
  });

  test('lies beside the certificate to trust', async () => {
    expect((await bench.call('GET', '/ca.pem')).status).toBe(404);
    const certificate = '-----BEGIN CERTIFICATE-----';
    const key = bench.sealer.seal('a key', 'authority');
    await signers(bench.store).put(rootId('localhost'), { certificate, key }, 'anything');
    const answer = await bench.call('GET', '/ca.pem');
    expect(answer.headers['content-type']).toBe('application/x-pem-file');
    expect(answer.text).toBe('-----BEGIN CERTIFICATE-----\n');
  });
});
