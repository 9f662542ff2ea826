import { expect, test, vi } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { allKeys, isPressing, lookAtAll } from './all-pods.ts';
import { podStatus } from '../test/pod-examples.ts';
import { RuntimeUnavailable } from './runtime/runtime.ts';

const log = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };

function world(wanted: readonly string[]) {
  const clock = new ManualClock();
  const lists = {
    desired: { ids: vi.fn(async () => wanted) },
    statuses: { ids: vi.fn(async () => ['recorded']) },
    runtime: { list: vi.fn(async (): Promise<readonly string[]> => ['running']) },
  };
  const context = { ...lists, clock, log } as unknown as Parameters<typeof lookAtAll>[0];
  const stopping = new AbortController();
  const seen: string[] = [];
  const looking = lookAtAll(context, stopping.signal, (key) => seen.push(key));
  const end = async (): Promise<void> => {
    stopping.abort();
    await looking;
  };
  return { clock, lists, context, seen, end };
}

const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `pod${n}`);

test('few pods are looked at at once, and again each minute', async () => {
  const { clock, seen, end } = world(['wanted']);
  await clock.advance(0);
  expect(seen).toEqual(['wanted', 'recorded', 'running']);
  await clock.advance(59_999);
  expect(seen).toHaveLength(3);
  await clock.advance(1);
  expect(seen).toHaveLength(6);
  await end();
});

test('the look at many pods is spread over half a minute, and none is left out', async () => {
  const { clock, seen, end } = world(names(100_000));
  await clock.advance(1_000);
  expect(seen.length).toBeLessThan(5_000);
  await clock.advance(29_000);
  expect(new Set(seen).size).toBe(100_002);
  expect(seen).toHaveLength(100_002);
  await end();
});

test('where pods run may be away: what is wanted or on record is looked at all the same', async () => {
  const { clock, lists, context, seen, end } = world(['wanted']);
  lists.runtime.list.mockRejectedValue(new RuntimeUnavailable('it is restarted'));
  await clock.advance(60_000);
  expect(seen.slice(-2)).toEqual(['wanted', 'recorded']);
  expect(await allKeys(context)).toEqual(new Set(['wanted', 'recorded']));
  await end();
});

test('a store that is away for a moment ends nothing', async () => {
  const { clock, lists, seen, end } = world(['wanted']);
  await clock.advance(0);
  lists.desired.ids.mockRejectedValueOnce(new Error('the store is away'));
  await clock.advance(60_000);
  expect(seen).toHaveLength(3);
  await clock.advance(1_000);
  expect(seen).toHaveLength(6);
  await end();
});

test('what is under way, or due soon, does not wait for its turn', () => {
  const nowMs = 1_000_000;
  const nothing = { step: { do: 'nothing' }, againAtMs: undefined } as const;
  const rests = { status: podStatus({ state: 'AVAILABLE' }), nowMs };
  expect(isPressing(rests, nothing)).toBe(false);
  expect(isPressing(rests, { ...nothing, againAtMs: nowMs + 3_600_000 })).toBe(false);
  expect(isPressing(rests, { ...nothing, againAtMs: nowMs + 10_000 })).toBe(true);
  expect(isPressing(rests, { ...nothing, step: { do: 'stop' } })).toBe(true);
  expect(isPressing({ ...rests, status: podStatus({ state: 'CREATING' }) }, nothing)).toBe(true);
  expect(isPressing({ ...rests, status: undefined }, nothing)).toBe(true);
});
