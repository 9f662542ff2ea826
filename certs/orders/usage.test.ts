import { expect, test } from 'vitest';
import type { NetworkTraffic, PodTraffic } from '#contracts/traffic.ts';
import { noTraffic, TrafficUnavailable } from '#contracts/traffic.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { Usage } from './usage.ts';

const hourMs = 60 * 60 * 1000;

function world(answer: (key: string) => NetworkTraffic) {
  const clock = new ManualClock();
  const asked: string[] = [];
  const read = async (key: string): Promise<PodTraffic> => {
    asked.push(key);
    return { sinceMs: 0, networks: new Map([['default', answer(key)]]) };
  };
  return { clock, asked, usage: new Usage({ clock, traffic: { read } }) };
}

test('a pod is in use when bytes went through within a day; gateways are asked once an hour', async () => {
  const { clock, asked, usage } = world((key) => ({
    ...noTraffic,
    lastActivityMs: key === 'used' ? clock.nowMs() - hourMs : clock.nowMs() - 25 * hourMs,
  }));
  expect(await usage.inUse('used')).toBe(true);
  expect(await usage.inUse('left')).toBe(false);
  expect(await usage.inUse('used')).toBe(true);
  expect(asked).toEqual(['used', 'left']);
  await clock.advance(hourMs);
  await usage.inUse('used');
  expect(asked).toEqual(['used', 'left', 'used']);
});

test('while no gateway answers one look a minute waits for it, and not each', async () => {
  const { clock, asked, usage } = world(() => {
    throw new TrafficUnavailable('away');
  });
  for (const key of ['a', 'b', 'c']) expect(await usage.inUse(key)).toBe(false);
  expect(asked).toEqual(['a']);
  await clock.advance(60_000);
  await usage.inUse('b');
  expect(asked).toEqual(['a', 'b']);
});
