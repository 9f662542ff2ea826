import { beforeEach, describe, expect, test, vi } from 'vitest';
import { StoreUnavailable } from '#contracts/store.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { SharedCounts, sweepCounts } from './request-counts.ts';

const windowMs = 60_000;
let clock: ManualClock;
let store: MemoryStore;
let apis: SharedCounts[];

beforeEach(() => {
  clock = new ManualClock();
  store = new MemoryStore();
  apis = [1, 2, 3].map(() => new SharedCounts({ store, clock }));
});

/** How many of so many requests, spread over the apis, are within the limit. */
async function answered(requests: number, max: number): Promise<number> {
  const all = Array.from({ length: requests }, async (_, at) =>
    apis[at % apis.length]?.count('user a', { windowMs, max }),
  );
  const counted = await Promise.all(all);
  return counted.filter((each) => each !== undefined && each.current <= max).length;
}

describe('requests counted over three apis', () => {
  test.each([
    [5, 5],
    [100, 100],
    [6_000, 6_000],
  ])('of a limit of %i all and no more are answered', async (max, expected) => {
    expect(await answered(max * 2, max)).toBe(expected);
    expect(await answered(10, max)).toBe(0);
  });

  test('when the window is over, they begin anew', async () => {
    expect(await answered(20, 5)).toBe(5);
    await clock.advance(windowMs);
    expect(await answered(20, 5)).toBe(5);
    await clock.advance(windowMs);
    await sweepCounts({ store, clock });
    expect(await store.list('request-counts')).toEqual([]);
  });

  test('an api that starts again and again does not use up what nobody asked for', async () => {
    for (let start = 0; start < 50; start += 1) {
      const api = new SharedCounts({ store, clock });
      const { current } = await api.count('user a', { windowMs, max: 6_000 });
      expect(current).toBeLessThanOrEqual(6_000);
    }
  });

  test('the store is asked for ever larger shares, up to a twentieth', async () => {
    const put = vi.spyOn(store, 'put');
    expect(await answered(2_000, 1_000)).toBe(1_000);
    // And a few tries that met one another.
    expect(put.mock.calls.length).toBeLessThan(60);
  });

  test('while the store is away nobody is refused, nor counted for ever', async () => {
    vi.spyOn(store, 'get').mockRejectedValue(new StoreUnavailable('away'));
    expect(await answered(10, 100)).toBe(10);
  });
});
