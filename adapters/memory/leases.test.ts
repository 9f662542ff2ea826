import { expect, test } from 'vitest';
import { leasesConform } from '../../test/conformance/leases.ts';
import { ManualClock } from './clock.ts';
import { MemoryLeases } from './leases.ts';
import { MemoryStore } from './store.ts';

leasesConform('MemoryLeases', () => {
  const clock = new ManualClock();
  return { leases: new MemoryLeases(clock), pass: (ms) => clock.advance(ms) };
});

const writeAs = async (store: MemoryStore, leases: MemoryLeases): Promise<number> => {
  const lease = await leases.acquire('leader', 'me', 1000);
  if (!lease) throw new Error('not free');
  await store.put('pods', { id: 'a', value: 1 }, 'anything', { lease: 'leader', ...lease });
  return lease.token;
};

test('a new process is not fenced off by the tokens of the one before', async () => {
  const store = new MemoryStore();
  const first = await writeAs(store, new MemoryLeases(new ManualClock(1_000_000)));
  const second = await writeAs(store, new MemoryLeases(new ManualClock(1_000_050)));
  expect(second).toBeGreaterThan(first);
});

test('nor when the wall clock was set back, given the newest token of the store', async () => {
  const store = new MemoryStore();
  const first = await writeAs(store, new MemoryLeases(new ManualClock(1_000_000)));
  const second = await writeAs(store, new MemoryLeases(new ManualClock(5), first));
  expect(second).toBeGreaterThan(first);
});
