import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryLeases } from '#adapters/memory/leases.ts';
import type { Leadership } from './leadership.ts';
import { keepLeading, NotLeading } from './leadership.ts';

const log = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };
let clock: ManualClock;
let leases: MemoryLeases;
let stopping: AbortController;

beforeEach(() => {
  clock = new ManualClock();
  leases = new MemoryLeases(clock);
  stopping = new AbortController();
});

afterEach(async () => {
  stopping.abort();
  await clock.advance(60_000);
});

/** A candidate that leads until its lease ends, and notes every reign. */
function candidate(holder: string): { reigns: Leadership[]; waits: number; ended: Promise<void> } {
  const seen = { reigns: [] as Leadership[], waits: 0, ended: Promise.resolve() };
  seen.ended = keepLeading(
    { leases, clock, log },
    { name: 'controller', holder, signal: stopping.signal },
    async (leadership) => {
      seen.reigns.push(leadership);
      await new Promise<void>((resolve) => {
        leadership.signal.addEventListener('abort', () => resolve(), { once: true });
      });
    },
    () => (seen.waits += 1),
  );
  return seen;
}

describe('leading', () => {
  test('goes on for as long as the lease is renewed', async () => {
    const one = candidate('one');
    await clock.advance(600_000);
    expect(one.reigns).toHaveLength(1);
    expect(() => one.reigns[0]?.check()).not.toThrow();
  });

  test('a second candidate waits, and takes over within 15 s of the silence of the first', async () => {
    const one = candidate('one');
    await clock.advance(0);
    const two = candidate('two');
    await clock.advance(60_000);
    expect(two.reigns).toHaveLength(0);
    expect(two.waits).toBeGreaterThan(0);
    vi.spyOn(leases, 'renew').mockImplementation(() => new Promise(() => undefined));
    await clock.advance(16_000);
    expect(two.reigns).toHaveLength(1);
    expect(() => one.reigns[0]?.check()).toThrow(NotLeading);
    expect(two.reigns[0]?.lease.token).toBeGreaterThan(one.reigns[0]?.lease.token ?? 0);
  });

  test('a leader that cannot renew may act until its lease runs out, and not a moment longer', async () => {
    const one = candidate('one');
    await clock.advance(0);
    vi.spyOn(leases, 'renew').mockRejectedValue(new Error('the store is away'));
    await clock.advance(11_999);
    expect(() => one.reigns[0]?.check()).not.toThrow();
    await clock.advance(1);
    expect(() => one.reigns[0]?.check()).toThrow(NotLeading);
  });

  test('a lease that was taken away ends the reign, and the next attempt begins another', async () => {
    const one = candidate('one');
    await clock.advance(0);
    vi.spyOn(leases, 'renew').mockResolvedValueOnce(false);
    await clock.advance(5_000);
    expect(one.reigns[0]?.signal.aborted).toBe(true);
    await clock.advance(2_000);
    expect(one.reigns).toHaveLength(2);
  });

  test('stopping frees the lease at once', async () => {
    const one = candidate('one');
    await clock.advance(0);
    stopping.abort();
    await clock.advance(0);
    await one.ended;
    expect(await leases.acquire('controller', 'two', 1_000)).toBeDefined();
  });

  test('a store that fails at first is asked again', async () => {
    vi.spyOn(leases, 'acquire').mockRejectedValueOnce(new Error('the store is away'));
    const one = candidate('one');
    await clock.advance(2_000);
    expect(one.reigns).toHaveLength(1);
  });
});
