import { expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { authenticate, ensureUser, findUser, hasUser } from './users.ts';

const tenant = 'default';
const openUsers = () => ({
  store: new MemoryStore(),
  random: systemRandom,
  clock: new ManualClock(1_000),
});
const ada = { tenant, username: 'ada', password: 'first', admin: false };

test('a user is created once, then left alone until the password or the role differs', async () => {
  const ports = openUsers();
  expect(await hasUser(ports, tenant, 'ada')).toBe(false);
  expect(await ensureUser(ports, ada)).toBe('created');
  expect(await hasUser(ports, tenant, 'ada')).toBe(true);
  const stored = await findUser(ports.store, tenant, 'ada');
  expect(await ensureUser(ports, ada)).toBe('unchanged');
  expect(await findUser(ports.store, tenant, 'ada')).toEqual(stored);
  await ports.clock.advance(5_000);
  expect(await ensureUser(ports, { ...ada, admin: true })).toBe('updated');
  expect(await ensureUser(ports, { ...ada, admin: true, password: 'second' })).toBe('updated');
  expect(await findUser(ports.store, tenant, 'ada')).toMatchObject({
    admin: true,
    createdAtMs: 1_000,
  });
  const tried = (password: string) => authenticate(ports.store, { ...ada, password });
  expect(await tried('first')).toBeUndefined();
  expect(await tried('second')).toMatchObject({ username: 'ada' });
});

test('the same name in another tenant is somebody else', async () => {
  const ports = openUsers();
  await ensureUser(ports, ada);
  expect(await hasUser(ports, 'other', 'ada')).toBe(false);
  expect(await authenticate(ports.store, { ...ada, tenant: 'other' })).toBeUndefined();
});

test('equal passwords have different hashes, and one typed in another form still matches', async () => {
  const ports = openUsers();
  const composed = 'caf\u00e9';
  for (const username of ['ada', 'eve']) {
    await ensureUser(ports, { ...ada, username, password: composed });
  }
  const [first, second] = await Promise.all(
    ['ada', 'eve'].map((username) => findUser(ports.store, tenant, username)),
  );
  expect(first?.password.hash).not.toBe(second?.password.hash);
  expect(first?.password).toMatchObject({ cost: 65_536, blockSize: 8, parallelization: 1 });
  const decomposed = { ...ada, password: 'cafe\u0301' };
  expect(await authenticate(ports.store, decomposed)).toMatchObject({ username: 'ada' });
});
