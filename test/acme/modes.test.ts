import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CertificateMode } from '#contracts/certificate-state.ts';
import { certificateTerms } from '#contracts/certificate-state.ts';
import { tenants } from '#contracts/tenant.ts';
import { World } from './world.ts';

/** What tenants choose, and what becomes of their certificates. */

const id = 'pod/default/shop';
const secondMs = 1000;
const dns = { present: async () => undefined, cleanup: async () => undefined };

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.close());

const choose = (certificateMode: CertificateMode) =>
  tenants(world.store).put(
    'default',
    {
      tenantId: 'default',
      description: '',
      active: true,
      issuers: [],
      admins: [],
      allowedUsers: null,
      certificateMode,
      createdBy: 'test',
      createdAtMs: 0,
      updatedAtMs: 0,
    },
    'anything',
  );
const possible = async () => (await certificateTerms(world.store).get('site'))?.value;
const ordered = () => world.authority.orders.flatMap(({ hosts }) => hosts);

test('certs says which modes there are', async () => {
  await world.start({ mode: 'hybrid', dns });
  const all = ['hybrid', 'per-pod', 'wildcard', 'own'];
  expect(await possible()).toEqual({ mode: 'hybrid', possible: all });
  await world.stop();
  await world.start();
  expect(await possible()).toEqual({ mode: 'per-pod', possible: ['per-pod', 'own'] });
});

test('under wildcards alone a pod loses its own certificate and none is ordered; the wildcard is public', async () => {
  await world.start({ mode: 'hybrid', dns });
  await world.desire('shop');
  const { issuer } = await world.issued('shop');
  await choose('wildcard');
  await world.until(async () => (await world.certificate(id)) === undefined, secondMs);
  await world.desire('wiki');
  await world.clock.advance(120 * secondMs);
  await world.calm();
  expect(ordered()).not.toContain('wiki.pods.example.org');
  expect(await world.certificate('pod/default/wiki')).toBeUndefined();
  const wildcard = await world.until(async () => {
    const found = await world.certificate('wildcard');
    return found?.issuer === issuer && found;
  });
  expect(wildcard.hosts).toContain('*.pods.example.org');
});

test('under our own authority everything of the tenant is from there, and comes back when it says so', async () => {
  await world.start({ mode: 'hybrid', dns });
  await world.desire('shop');
  const { issuer } = await world.issued('shop');
  await choose('own');
  const isOf = (name: string, whose: string) => async () =>
    (await world.certificate(name))?.issuer === whose;
  await world.until(isOf(id, 'Podgate own CA'), secondMs);
  await world.until(isOf('wildcard', 'Podgate own CA'), secondMs);
  await choose('per-pod');
  await world.until(isOf(id, issuer), secondMs);
}, 60_000);
