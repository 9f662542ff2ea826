import { expect, test } from 'vitest';
import { certificates } from '#contracts/certificate.ts';
import { certificateRequests, certificateStates } from '#contracts/certificate-state.ts';
import { desiredPods } from '#contracts/pod.ts';
import { zSealed } from '#contracts/sealer.ts';
import type { Store } from '#contracts/store.ts';
import { tenants } from '#contracts/tenant.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { desiredPod, nowMs } from '../test/pod-examples.ts';
import { newState } from './orders/records.ts';
import { Survey } from './survey.ts';
import { ownIds } from './wanted.ts';

const dayMs = 24 * 60 * 60 * 1000;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

const putPod = (store: Store, id: string) => {
  const [tenant = '', podId = ''] = id.split('/');
  return desiredPods(store).put(id, desiredPod({ tenant, podId }), 'anything');
};

const putCertificate = (store: Store, id: string, issuer = 'ours') => {
  const value = {
    hosts: ['a.pods.example.org'],
    chain: 'chain',
    key: zSealed.parse('v1.k.n.b'),
    notBeforeMs: nowMs - 20 * dayMs,
    renewAtMs: nowMs + dayMs,
    notAfterMs: nowMs + 10 * dayMs,
    issuer,
  };
  return certificates(store).put(id, value, 'anything');
};

const putTenant = (store: Store, tenantId: string) => {
  const lists = { issuers: [], admins: [], allowedUsers: null };
  const made = { createdBy: 'ada', createdAtMs: nowMs, updatedAtMs: nowMs };
  const tenant = { tenantId, description: '', active: true, ...lists, ...made };
  return tenants(store).put(tenantId, tenant, 'anything');
};

/** With two pods of one tenant and one of another; the domain's and the wildcard's are always looked at. */
async function surveyed() {
  const store = new MemoryStore();
  for (const id of ['default/a', 'default/b', 'other/c']) {
    await putPod(store, id);
    await putCertificate(store, `pod/${id}`);
  }
  await putTenant(store, 'other');
  const survey = new Survey(store, quiet, 'ours');
  const look = async (atMs = nowMs) => {
    const { ids } = await survey.look(atMs);
    return [...ids].filter((id) => !ownIds.some((own) => own === id)).toSorted();
  };
  return { store, survey, look };
}

const all = [
  'pod/default/a',
  'pod/default/b',
  'pod/other/c',
  'tenant-wildcard/other',
  'tenant/other',
];

test('the first look is at everything, the next ones at nothing, for as long as nothing changes', async () => {
  const { look } = await surveyed();
  expect(await look()).toEqual(all);
  expect(await look()).toEqual([]);
});

const changes: Record<string, [(store: Store) => Promise<unknown>, string[]]> = {
  'a pod that is new': [(store) => putPod(store, 'default/d'), ['pod/default/d']],
  'a pod that is gone': [
    (store) => desiredPods(store).remove('default/a', 'anything'),
    ['pod/default/a'],
  ],
  'a certificate that is gone': [
    (store) => certificates(store).remove('pod/default/a', 'anything'),
    ['pod/default/a'],
  ],
  'a certificate that does not parse': [
    (store) => store.put('certificates', { id: 'pod/default/a', value: 'odd' }, 'anything'),
    ['pod/default/a'],
  ],
  'a new key that was asked for': [
    (store) => certificateRequests(store).put('pod/default/b', { rotation: 1 }, 'anything'),
    ['pod/default/b'],
  ],
  'another mode of a tenant, which is that of its pods': [
    (store) => putTenant(store, 'other'),
    ['pod/other/c', 'tenant-wildcard/other', 'tenant/other'],
  ],
  'a state without a pod and without a certificate': [
    (store) => certificateStates(store).put('pod/default/gone', newState('own'), 'anything'),
    ['pod/default/gone'],
  ],
};
for (const [name, [change, looked]] of Object.entries(changes)) {
  test(`${name} is looked at`, async () => {
    const { store, look } = await surveyed();
    await look();
    await change(store);
    expect(await look()).toEqual(looked);
  });
}

test('ours are looked at from when their renewal is due, others’ when they have ended', async () => {
  const { store, look } = await surveyed();
  await putCertificate(store, 'pod/default/a', 'others');
  await look();
  expect(await look(nowMs + 2 * dayMs)).toEqual(['pod/default/b', 'pod/other/c']);
  expect(await look(nowMs + 10 * dayMs)).toEqual(['pod/default/a', 'pod/default/b', 'pod/other/c']);
});

test('what a look found before it failed, the next one finds', async () => {
  const { store, survey, look } = await surveyed();
  await look();
  await putPod(store, 'default/d');
  const read = store.changesSince.bind(store);
  store.changesSince = async (name, since) => {
    if (name === 'certificate-states') throw new Error('away');
    return read(name, since);
  };
  await expect(survey.look(nowMs)).rejects.toThrow('away');
  store.changesSince = read;
  expect(await look()).toEqual(['pod/default/d']);
});

test('ends are told of those that are wanted', async () => {
  const { store, survey } = await surveyed();
  await desiredPods(store).remove('other/c', 'anything');
  const { expiry } = await survey.look(nowMs);
  expect(expiry.counts).toEqual({ valid: 2, late: 0, expired: 0 });
  expect(expiry.soonestMs).toEqual({ pod: nowMs + 10 * dayMs });
});
