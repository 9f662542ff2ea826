import { describe, expect, test } from 'vitest';
import type { Lease, Leases } from '#contracts/leases.ts';

/** Leases and how time passes for them. */
export interface LeasesUnderTest {
  readonly leases: Leases;
  readonly pass: (ms: number) => Promise<void>;
}

/** What `Leases` promise. */
export function leasesConform(name: string, make: () => LeasesUnderTest): void {
  describe(`${name} as leases`, () => {
    test('a free lease is given, and names its holder', async () => {
      const { leases } = make();
      expect(await taken(leases, 'a')).toMatchObject({ name: 'leader', holder: 'a' });
    });

    test('nobody else gets a lease that is held', async () => {
      const { leases } = make();
      await taken(leases, 'a');
      expect(await leases.acquire('leader', 'b', 100)).toBeUndefined();
    });

    test('of many that ask at once exactly one gets it', async () => {
      const { leases } = make();
      const holders = Array.from({ length: 20 }, (_, index) => `holder-${index}`);
      const answers = await Promise.all(
        holders.map((holder) => leases.acquire('leader', holder, 100)),
      );
      expect(answers.filter(Boolean)).toHaveLength(1);
    });

    test('leases of different names have nothing to do with one another', async () => {
      const { leases } = make();
      await taken(leases, 'a');
      expect(await leases.acquire('another', 'b', 100)).toBeDefined();
    });

    test('it is held until its time is over, and free then', async () => {
      const { leases, pass } = make();
      await taken(leases, 'a');
      await pass(60);
      expect(await leases.acquire('leader', 'b', 100)).toBeUndefined();
      await pass(60);
      expect(await leases.acquire('leader', 'b', 100)).toBeDefined();
    });

    test('renewing holds it from now on', async () => {
      const { leases, pass } = make();
      const lease = await taken(leases, 'a');
      await pass(60);
      expect(await leases.renew(lease, 100)).toBe(true);
      await pass(60);
      expect(await leases.acquire('leader', 'b', 100)).toBeUndefined();
    });

    test('taking the own lease renews it under the same token', async () => {
      const { leases, pass } = make();
      const lease = await taken(leases, 'a');
      await pass(60);
      expect((await taken(leases, 'a')).token).toBe(lease.token);
      await pass(60);
      expect(await leases.acquire('leader', 'b', 100)).toBeUndefined();
    });

    test('the token grows with every new holder', async () => {
      const { leases, pass } = make();
      const tokens: number[] = [];
      for (const holder of ['a', 'b', 'a', 'c']) {
        tokens.push((await taken(leases, holder)).token);
        await pass(120);
      }
      expect(tokens).toEqual([...new Set(tokens)].toSorted((a, b) => a - b));
    });

    test('a lease that ran out cannot be renewed, even while it is free', async () => {
      const { leases, pass } = make();
      const lease = await taken(leases, 'a');
      await pass(120);
      expect(await leases.renew(lease, 100)).toBe(false);
    });

    test('one that lost its lease can neither renew nor release it', async () => {
      const { leases, pass } = make();
      const old = await taken(leases, 'a');
      await pass(120);
      const lease = await taken(leases, 'b');
      expect(await leases.renew(old, 100)).toBe(false);
      await leases.release(old);
      expect(await leases.acquire('leader', 'c', 100)).toBeUndefined();
      expect(await leases.renew(lease, 100)).toBe(true);
    });

    test('a released lease is free at once, and cannot be renewed', async () => {
      const { leases } = make();
      const lease = await taken(leases, 'a');
      await leases.release(lease);
      expect(await leases.renew(lease, 100)).toBe(false);
      expect((await taken(leases, 'b')).token).toBeGreaterThan(lease.token);
    });
  });
}

async function taken(leases: Leases, holder: string, ttlMs = 100): Promise<Lease> {
  const lease = await leases.acquire('leader', holder, ttlMs);
  if (!lease) throw new Error(`${holder} did not get the lease`);
  return lease;
}
