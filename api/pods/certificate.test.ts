import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Certificate } from '#contracts/certificate.ts';
import { certificates } from '#contracts/certificate.ts';
import type { CertificateState } from '#contracts/certificate-state.ts';
import {
  certificateRequests,
  certificateStates,
  certificateTerms,
} from '#contracts/certificate-state.ts';
import { sealContext } from '#contracts/pod.ts';
import { tenants } from '#contracts/tenant.ts';
import type { Bench } from '../../test/api/bench.ts';
import { openBench } from '../../test/api/bench.ts';

const dayMs = 24 * 60 * 60 * 1000;
const nowMs = Date.UTC(2026, 0, 1, 12);
const id = 'pod/default/mine';
const host = 'mine.pods.example.test';
let bench: Bench;

beforeAll(async () => {
  bench = await openBench();
  await bench.addUser('ada', 'pass word');
  const body = { pod_id: 'mine', image: 'podgate/hello' };
  await bench.as('ada')('POST', '/v3/pods', { body });
  const terms = { mode: 'hybrid', possible: ['hybrid', 'wildcard'] } as const;
  await certificateTerms(bench.store).put(
    'site',
    { ...terms, possible: [...terms.possible] },
    'absent',
  );
}, 30_000);
afterAll(() => bench.close());
beforeEach(async () => {
  await certificates(bench.store).remove(id, 'anything');
  await certificateStates(bench.store).remove(id, 'anything');
  await certificateRequests(bench.store).remove(id, 'anything');
});

const read = async (): Promise<unknown> =>
  (await bench.as('ada')('GET', '/v3/pods/mine/certificate')).body.result;
const rotate = async (): Promise<unknown> =>
  (await bench.as('ada')('POST', '/v3/pods/mine/certificate/rotate')).body.result;

const certificate = (change: Partial<Certificate> = {}): Certificate => ({
  hosts: [host],
  chain: 'not looked at',
  key: bench.sealer.seal('not shown', sealContext.certificate(id)),
  notBeforeMs: nowMs - 30 * dayMs,
  notAfterMs: nowMs + 60 * dayMs,
  renewAtMs: nowMs + 30 * dayMs,
  issuer: 'CN=Example',
  ...change,
});

const state: CertificateState = {
  mode: 'hybrid',
  phase: 'backoff',
  ca: 'acme.example.org',
  profile: 'tlsserver',
  queuePlace: 7,
  attempts: [
    { atMs: nowMs - 2_000, ca: 'acme.example.org', error: 'the name does not resolve' },
    { atMs: nowMs - 1_000, ca: 'acme.example.org', error: 'nobody answers on port 80' },
  ],
  failures: 2,
  nextAttemptAtMs: nowMs + 60_000,
  renewal: {
    startMs: nowMs + 20 * dayMs,
    endMs: nowMs + 22 * dayMs,
    atMs: nowMs + 21 * dayMs,
    askAgainAtMs: null,
  },
  notAfterMs: nowMs + 60 * dayMs,
  replaces: null,
  rehearsed: false,
  rotation: 0,
  order: null,
  setBudgets: [],
};

test('a pod without a certificate says so', async () => {
  expect(await read()).toMatchObject({
    phase: 'none',
    hosts: [],
    not_after_ts: null,
    warning: null,
  });
});

test('what the store knows is shown, the newest error in words, and never the key', async () => {
  await certificates(bench.store).put(id, certificate(), 'absent');
  await certificateStates(bench.store).put(id, state, 'absent');
  const shown = await read();
  expect(shown).toEqual({
    mode: 'hybrid',
    phase: 'backoff',
    hosts: [host],
    issuer: 'CN=Example',
    authority: 'acme.example.org',
    profile: 'tlsserver',
    not_before_ts: '2025-12-02T12:00:00.000000',
    not_after_ts: '2026-03-02T12:00:00.000000',
    renewal: {
      start_ts: '2026-01-21T12:00:00.000000',
      end_ts: '2026-01-23T12:00:00.000000',
      at_ts: '2026-01-22T12:00:00.000000',
    },
    place_in_queue: 7,
    failures: 2,
    last_error: 'nobody answers on port 80',
    last_error_ts: '2026-01-01T11:59:59.000000',
    next_attempt_ts: '2026-01-01T12:01:00.000000',
    rotating: false,
    warning: null,
  });
});

test.each([
  [16, null],
  [3, 'expires within 3 days and was not renewed yet'],
  [0.5, 'expires within 1 day and was not renewed yet'],
  [-1, 'has expired: clients refuse it'],
])('with %d days left of ninety the warning is %s', async (left, warning) => {
  const notAfterMs = nowMs + left * dayMs;
  const dates = { notBeforeMs: notAfterMs - 90 * dayMs, notAfterMs };
  await certificates(bench.store).put(id, certificate(dates), 'absent');
  expect(await read()).toMatchObject({ warning });
});

test('a rotation is asked for once, until it was carried out', async () => {
  const requests = certificateRequests(bench.store);
  expect(await rotate()).toMatchObject({ rotating: true });
  expect(await rotate()).toMatchObject({ rotating: true });
  expect((await requests.get(id))?.value).toEqual({ rotation: 1 });
  await certificateStates(bench.store).put(id, { ...state, rotation: 1 }, 'absent');
  expect(await read()).toMatchObject({ rotating: false });
  expect(await rotate()).toMatchObject({ rotating: true });
  expect((await requests.get(id))?.value).toEqual({ rotation: 2 });
});

interface Networking {
  readonly networking: { readonly default: { readonly cert_state: string; certificate: unknown } };
}

test('a pod that is read shows the same at its networks, takes it back, and has a new tag when it changes', async () => {
  const get = () => bench.as('ada')('GET', '/v3/pods/mine');
  const before = await get();
  await certificates(bench.store).put(id, certificate(), 'absent');
  await certificateStates(bench.store).put(id, state, 'absent');
  const after = await get();
  expect(after.headers['etag']).not.toBe(before.headers['etag']);
  const { networking } = after.body.result as Networking;
  expect(networking.default.cert_state).toBe('backoff');
  expect(networking.default.certificate).toEqual(await read());
  const derived = await bench.as('ada')('GET', '/v3/pods/mine/derived');
  expect(derived.body.result).toMatchObject({ networking });
  const sent = await bench.as('ada')('PUT', '/v3/pods/mine', { body: { networking } });
  expect([sent.status, sent.body.metadata]).toEqual([200, expect.anything()]);
  // Lists do not read a certificate for each pod.
  const list = await bench.as('ada')('GET', '/v3/pods');
  expect(JSON.stringify(list.body.result)).not.toContain('cert_state');
});

test('where the tenant has wildcards alone the wildcard is shown, and nothing is rotated', async () => {
  const acme = { tenant_id: 'acme', admin: { username: 'grace', password: 'pass word' } };
  await bench.addUser('root', 'pass word', true);
  await bench.as('root')('POST', '/v3/tenants', {
    body: { ...acme, certificate_mode: 'wildcard' },
  });
  expect((await tenants(bench.store).get('acme'))?.value.certificateMode).toBe('wildcard');
  const grace = bench.as('grace', 'acme');
  await grace('POST', '/v3/pods', { body: { pod_id: 'theirs', image: 'podgate/hello' } });
  const hosts = ['*.pods.acme.example.test', 'pods.acme.example.test'];
  await certificates(bench.store).put('tenant/acme', certificate({ hosts }), 'absent');
  const shown = await grace('GET', '/v3/pods/theirs/certificate');
  expect(shown.body.result).toMatchObject({ mode: 'wildcard', hosts, phase: 'active' });
  expect((await grace('POST', '/v3/pods/theirs/certificate/rotate')).status).toBe(409);
});

test('the action log warns of one that is near its end, and of one that has ended, with the last error', async () => {
  const notAfterMs = nowMs - dayMs;
  const dates = { notBeforeMs: notAfterMs - 90 * dayMs, notAfterMs };
  await certificates(bench.store).put(id, certificate(dates), 'absent');
  await certificateStates(bench.store).put(id, state, 'absent');
  const { body } = await bench.as('ada')('GET', '/v3/pods/mine/actions');
  const lines = (body.result as { kind: string; ts: string; text: string }[]).filter(
    ({ kind }) => kind === 'certificate_warning',
  );
  expect(lines).toMatchObject([
    { ts: '2025-12-16T12:00:00.000000', text: expect.stringContaining('was not renewed yet') },
    {
      ts: '2025-12-31T12:00:00.000000',
      text: expect.stringContaining('nobody answers on port 80'),
    },
  ]);
});
