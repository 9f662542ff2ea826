import { afterEach, expect, test, vi } from 'vitest';
import { clockConforms } from '../../test/conformance/clock.ts';
import { systemClock } from './clock.ts';

clockConforms('systemClock', () => ({
  clock: systemClock,
  pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms + 5)),
}));

const dayMs = 24 * 60 * 60 * 1000;

afterEach(() => {
  vi.useRealTimers();
});

test('a delay longer than one timer can be runs when it is over, once', () => {
  vi.useFakeTimers();
  const run = vi.fn<() => void>();
  systemClock.after(100 * dayMs, run);
  vi.advanceTimersByTime(100 * dayMs - 1);
  expect(run).not.toHaveBeenCalled();
  vi.advanceTimersByTime(200 * dayMs);
  expect(run).toHaveBeenCalledTimes(1);
});

test('a long delay waits without waking every millisecond, and can be cancelled at any time', () => {
  vi.useFakeTimers();
  const set = vi.spyOn(globalThis, 'setTimeout');
  const run = vi.fn<() => void>();
  const cancel = systemClock.after(100 * dayMs, run);
  vi.advanceTimersByTime(60 * dayMs);
  expect(set.mock.calls.length).toBeLessThan(10);
  for (const [, delayMs] of set.mock.calls) expect(delayMs).toBeLessThan(2 ** 31);
  cancel();
  vi.advanceTimersByTime(100 * dayMs);
  expect(run).not.toHaveBeenCalled();
  set.mockRestore();
});
