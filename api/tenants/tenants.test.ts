import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CertificateMode } from '#contracts/certificate-state.ts';
import { certificateTerms } from '#contracts/certificate-state.ts';
import { tenants } from '#contracts/tenant.ts';
import type { Answer, Bench, Call } from '../../test/api/bench.ts';
import { openBench } from '../../test/api/bench.ts';

/** Several tenants behind one API: whose domain a request names, and what each sees of the others. */

let bench: Bench;
const password = 'correct horse';

interface WireTenant {
  readonly tenant_id: string;
  readonly base_url: string;
  readonly public_key: string;
}

beforeAll(async () => {
  bench = await openBench();
  await bench.addUser('root', password, true);
  await bench.addUser('ada', password);
  const acme = { tenant_id: 'acme', admin: { username: 'grace', password } };
  expect((await bench.as('root')('POST', '/v3/tenants', { body: acme })).status).toBe(200);
}, 30_000);

afterAll(() => bench.close());

const at = (host: string): Call => ({ headers: { host } });
const login = (username: string, host: string): Promise<Answer> =>
  bench.call('POST', '/v3/oauth2/tokens', {
    ...at(host),
    body: { grant_type: 'password', username, password },
  });
const tokenFrom = ({ body }: Answer): string =>
  (body.result as { access_token: { access_token: string } }).access_token.access_token;
const tenantsAt = async (host: string): Promise<WireTenant[]> =>
  (await bench.call('GET', '/v3/tenants', at(host))).body.result as WireTenant[];

describe('a tenant', () => {
  test('is found by the host of the request, whose origin is its base_url', async () => {
    const seen = await tenantsAt('acme.localhost:8443');
    expect(seen.map(({ tenant_id: id, base_url: base }) => [id, base])).toEqual([
      ['default', 'https://localhost:8443'],
      ['acme', 'http://acme.localhost:8443'],
    ]);
    const elsewhere = await tenantsAt('127.0.0.1:3000');
    expect(elsewhere.map(({ base_url: base }) => base)).toEqual([
      'http://127.0.0.1:3000',
      'https://acme.localhost:8443',
    ]);
    expect(new Set(seen.map(({ public_key: key }) => key)).size).toBe(2);
    const one = await bench.call('GET', '/v3/tenants/acme');
    expect(one.body.result).toMatchObject({ tenant_id: 'acme', status: 'active' });
    expect((await bench.call('GET', '/v3/tenants/nosuch')).status).toBe(404);
  });

  test('has users, tokens and keys of its own', async () => {
    expect((await login('grace', 'localhost:8443')).status).toBe(401);
    expect((await login('ada', 'acme.localhost:8443')).status).toBe(401);
    const token = tokenFrom(await login('grace', 'ACME.localhost:8443'));
    const headers = { 'x-tapis-token': token };
    const users = await bench.call('GET', '/v3/oauth2/users', { headers });
    expect(users.body.result).toMatchObject([{ username: 'grace', tenant_id: 'acme' }]);
    const jwks = await bench.call('GET', '/v3/oauth2/jwks', at('acme.localhost'));
    expect(jwks.body).toMatchObject({ keys: [{ kid: 'acme' }] });
  });

  test('has pods below its domain, which others do not see', async () => {
    const body = { pod_id: 'shop', image: 'podgate/hello' };
    const made = await bench.as('grace', 'acme')('POST', '/v3/pods', { body });
    expect(made.body.result).toMatchObject({
      networking: { default: { url: 'shop.pods.acme.localhost' } },
    });
    expect((await bench.as('root')('GET', '/v3/pods/shop')).status).toBe(404);
    expect((await bench.as('ada')('POST', '/v3/pods', { body })).status).toBe(200);
    expect((await bench.as('root')('GET', '/v3/pods')).body.result).toHaveLength(1);
  });

  test('is not entered with the token of another', async () => {
    const answer = await bench.as('ada')('GET', '/v3/pods', at('acme.localhost'));
    expect(answer.status).toBe(403);
    expect(answer.body.message).toBe(
      'The tenant_id claim in the token, default does not match the URL tenant, acme.',
    );
    expect((await bench.as('grace', 'acme')('GET', '/v3/pods', at('localhost'))).status).toBe(403);
    for (const host of ['acme.localhost:8443', '127.0.0.1:3000', 'api.internal'])
      expect((await bench.as('grace', 'acme')('GET', '/v3/pods', at(host))).status).toBe(200);
  });

  test('that is inactive lets nobody in, and its tokens count again afterwards', async () => {
    const put = async (status: string) =>
      (await bench.as('root')('PUT', '/v3/tenants/acme', { body: { status } })).body.status;
    expect(await put('inactive')).toBe('success');
    expect((await grace('GET', '/v3/pods')).status).toBe(401);
    expect((await login('grace', 'acme.localhost')).status).toBe(403);
    expect(await put('active')).toBe('success');
    expect((await grace('GET', '/v3/pods')).status).toBe(200);
    const first = await bench.as('root')('PUT', '/v3/tenants/default', {
      body: { status: 'inactive' },
    });
    expect(first.status).toBe(409);
  });
});

const make = (body: object, who = 'root', of = 'default'): Promise<Answer> =>
  bench.as(who, of)('POST', '/v3/tenants', { body });

const grace: ReturnType<Bench['as']> = (...args) => bench.as('grace', 'acme')(...args);

describe('an admin of another tenant', () => {
  test('runs no programs on the host', async () => {
    const body = { pod_id: 'prog', image: 'podgate/process', command: ['/bin/sh'] };
    const answer = await grace('POST', '/v3/pods', { body });
    expect(answer.status).toBe(400);
    expect(String(answer.body.message)).toContain('body, image: podgate/process');
    const preload = { NODE_OPTIONS: '--require=/tmp/x.js' };
    const hello = { pod_id: 'greet', image: 'podgate/hello', environment_variables: preload };
    expect((await grace('POST', '/v3/pods', { body: hello })).status).toBe(400);
    expect((await bench.as('root')('POST', '/v3/pods', { body })).status).toBe(200);
  });

  test('shares no template with the others', async () => {
    await grace('POST', '/v3/pods/templates', { body: { template_id: 'bait' } });
    for (const user of ['**', 'tenant.default']) {
      const body = { user, level: 'READ' };
      const shared = await grace('POST', '/v3/pods/templates/bait/permissions', { body });
      expect(shared.status).toBe(403);
    }
  });

  test('is nobody with the name of theirs by a code for a client of the same id', async () => {
    const callback = 'https://app.example.org/back';
    const client = { client_id: 'app', client_key: 'a-key-of-some-length', callback_url: callback };
    await grace('POST', '/v3/oauth2/clients', { body: client });
    await bench.as('ada')('POST', '/v3/oauth2/clients', { body: client });
    await grace('POST', '/v3/oauth2/users', { body: { username: 'root', password } });
    const asked = { client_id: 'app', redirect_uri: callback, response_type: 'code' };
    const fields = new URLSearchParams({ ...asked, username: 'root', password });
    const form = { 'content-type': 'application/x-www-form-urlencoded', host: 'acme.localhost' };
    const sent = await bench.call('POST', '/v3/oauth2/authorize', {
      headers: form,
      body: String(fields),
    });
    const code = new URL(String(sent.headers['location'])).searchParams.get('code');
    const { client_id, client_key } = client;
    const grant = { grant_type: 'authorization_code', redirect_uri: callback };
    const redeem = (host: string) =>
      bench.call('POST', '/v3/oauth2/tokens', {
        ...at(host),
        body: { ...grant, code, client_id, client_key },
      });
    expect((await redeem('localhost')).status).toBe(400);
    expect((await redeem('acme.localhost')).status).toBe(200);
  });
});

describe('making one', () => {
  test('is for admins of the first tenant', async () => {
    expect((await make({ tenant_id: 'mine' }, 'ada')).status).toBe(403);
    expect((await make({ tenant_id: 'mine' }, 'grace', 'acme')).status).toBe(403);
    expect((await bench.as('grace', 'acme')('GET', '/v3/tenants/acme/settings')).status).toBe(403);
  });

  test.each([
    [{ tenant_id: 'acme' }, 409, 'already exists'],
    [{ tenant_id: 'default' }, 409, 'already exists'],
    [{ tenant_id: 'pods' }, 400, 'body, tenant_id: pods is reserved'],
    [{ tenant_id: 'a-' }, 400, 'body, tenant_id: must be'],
    [{ tenant_id: 'Acme' }, 400, 'body, tenant_id: must be'],
    [{ tenant_id: 'x', admins: ['*'] }, 400, 'body, admins, 0: must have'],
    [{ tenant_id: 'x', admins: ['tenant.acme'] }, 400, 'body, admins, 0: must have'],
    [{ tenant_id: 'x', issuers: [{ issuer: 'i' }] }, 400, 'one of jwks_uri and public_key'],
    [
      { tenant_id: 'x', issuers: [{ issuer: 'i', jwks_uri: 'http://keys.example/' }] },
      400,
      'must be an https URL',
    ],
    [
      { tenant_id: 'x', issuers: [{ issuer: 'i', public_key: 'no key' }] },
      400,
      'body, issuers, 0, public_key: must be the PEM',
    ],
  ])('%j is refused with %d', async (body, status, message) => {
    const answer = await make(body);
    expect(answer.status).toBe(status);
    expect(String(answer.body.message)).toContain(message);
  });

  test('one that has nobody in charge gets somebody later', async () => {
    await make({ tenant_id: 'empty' });
    const body = { admin: { username: 'linus', password } };
    const put = () => bench.as('root')('PUT', '/v3/tenants/empty', { body });
    const answer = await put();
    expect(answer.status).toBe(200);
    expect(answer.text).not.toContain(password);
    expect((await login('linus', 'empty.localhost')).status).toBe(200);
    expect((await bench.as('linus', 'empty')('GET', '/v3/oauth2/users')).status).toBe(200);
    expect((await put()).status).toBe(409);
  });

  test('what was said of it is shown to those who decide', async () => {
    const settings = {
      description: 'd',
      issuers: [
        { issuer: 'i', jwks_uri: 'https://keys.example/', audience: 'us', username_claim: 'sub' },
      ],
      admins: ['linus'],
      allowed_users: ['linus', 'ken'],
    };
    const made = await make({ tenant_id: 'full', ...settings });
    expect(made.body.result).toMatchObject({ ...settings, created_by: 'root', status: 'active' });
    const changed = await bench.as('root')('PUT', '/v3/tenants/full', {
      body: { allowed_users: null },
    });
    expect(changed.body.result).toMatchObject({ ...settings, allowed_users: null });
    const shown = await bench.as('root')('GET', '/v3/tenants/full/settings');
    expect(shown.body.result).toEqual(changed.body.result);
    const open = (await bench.call('GET', '/v3/tenants/full')).body.result;
    expect(open).not.toHaveProperty('admins');
  });
});

const putMode = (body: object) => bench.as('root')('PUT', '/v3/tenants/acme', { body });
const offerModes = (...possible: CertificateMode[]) =>
  certificateTerms(bench.store).put('site', { mode: 'per-pod', possible }, 'anything');

describe('a certificate mode', () => {
  test('is kept with the tenant, and null takes it back', async () => {
    await offerModes('hybrid', 'per-pod', 'wildcard', 'own');
    expect((await putMode({ certificate_mode: 'wildcard' })).body.result).toMatchObject({
      certificate_mode: 'wildcard',
    });
    expect((await tenants(bench.store).get('acme'))?.value.certificateMode).toBe('wildcard');
    const shown = await bench.as('root')('GET', '/v3/tenants/acme/settings');
    expect(shown.body.result).toMatchObject({ certificate_mode: 'wildcard' });
    expect((await putMode({ description: 'x' })).body.result).toMatchObject({
      certificate_mode: 'wildcard',
    });
    expect((await putMode({ certificate_mode: null })).body.result).toMatchObject({
      certificate_mode: null,
    });
    expect((await putMode({ certificate_mode: 'none' })).status).toBe(400);
  });

  test('that cannot be is refused with what is missing', async () => {
    await offerModes('per-pod', 'own');
    const noDns = await putMode({ certificate_mode: 'wildcard' });
    expect([noDns.status, String(noDns.body.message)]).toEqual([
      400,
      expect.stringContaining('PODGATE_DNS_PROVIDER; here it can be per-pod or own'),
    ]);
    await offerModes('own');
    expect(String((await putMode({ certificate_mode: 'per-pod' })).body.message)).toContain(
      'PODGATE_ACME_DIRECTORY',
    );
    await certificateTerms(bench.store).remove('site', 'anything');
    expect((await putMode({ certificate_mode: 'own' })).status).toBe(503);
  });
});
