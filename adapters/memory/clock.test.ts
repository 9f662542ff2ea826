import { expect, test } from 'vitest';
import { clockConforms } from '../../test/conformance/clock.ts';
import { ManualClock } from './clock.ts';

clockConforms('ManualClock', () => {
  const clock = new ManualClock();
  return { clock, pass: (ms) => clock.advance(ms) };
});

test('time stands still until it is advanced', async () => {
  const clock = new ManualClock(1000);
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect([clock.nowMs(), clock.monotonicMs()]).toEqual([1000, 0]);
  await clock.advance(7);
  expect([clock.nowMs(), clock.monotonicMs()]).toEqual([1007, 7]);
});

test('a timer sees the time it was due, and timers it sets run in the same advance', async () => {
  const clock = new ManualClock();
  const ranAtMs: number[] = [];
  const again = (): void => {
    ranAtMs.push(clock.monotonicMs());
    clock.after(10, again);
  };
  clock.after(10, again);
  await clock.advance(35);
  expect(ranAtMs).toEqual([10, 20, 30]);
});
