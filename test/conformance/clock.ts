import { describe, expect, test, vi } from 'vitest';
import type { Clock } from '#contracts/clock.ts';

/** A clock and how its time is made to pass. */
export interface ClockUnderTest {
  readonly clock: Clock;
  readonly pass: (ms: number) => Promise<void>;
}

/** What a `Clock` promises. */
export function clockConforms(name: string, make: () => ClockUnderTest): void {
  describe(`${name} as a clock`, () => {
    test('wall-clock time is a plausible number of milliseconds since 1970', () => {
      const { clock } = make();
      expect(clock.nowMs()).toBeGreaterThan(Date.UTC(2020, 0, 1));
      expect(clock.nowMs()).toBeLessThan(Date.UTC(2200, 0, 1));
    });

    test('monotonic time grows by what passed and never goes back', async () => {
      const { clock, pass } = make();
      const before = clock.monotonicMs();
      await pass(20);
      expect(clock.monotonicMs() - before).toBeGreaterThanOrEqual(19);
    });

    test('what was asked for after a delay runs once, and not before', async () => {
      const { clock, pass } = make();
      const startMs = clock.monotonicMs();
      const ranAtMs: number[] = [];
      clock.after(20, () => ranAtMs.push(clock.monotonicMs() - startMs));
      expect(ranAtMs).toEqual([]);
      await pass(60);
      expect(ranAtMs).toHaveLength(1);
      expect(ranAtMs[0]).toBeGreaterThanOrEqual(20);
    });

    test('a shorter delay asked for later runs first', async () => {
      const { clock, pass } = make();
      const order: string[] = [];
      clock.after(40, () => order.push('long'));
      clock.after(5, () => order.push('short'));
      await pass(80);
      expect(order).toEqual(['short', 'long']);
    });

    test('what was cancelled, even twice, never runs', async () => {
      const { clock, pass } = make();
      const run = vi.fn<() => void>();
      const cancel = clock.after(10, run);
      cancel();
      cancel();
      await pass(40);
      expect(run).not.toHaveBeenCalled();
    });

    test('cancelling after it ran does nothing', async () => {
      const { clock, pass } = make();
      const run = vi.fn<() => void>();
      const cancel = clock.after(1, run);
      await pass(20);
      cancel();
      expect(run).toHaveBeenCalledTimes(1);
    });

    test('a delay of months does not run at once', async () => {
      const { clock, pass } = make();
      const run = vi.fn<() => void>();
      const cancel = clock.after(100 * 24 * 60 * 60 * 1000, run);
      await pass(20);
      cancel();
      expect(run).not.toHaveBeenCalled();
    });

    test('sleep resolves after its delay', async () => {
      const { clock, pass } = make();
      let awake = false;
      const slept = clock.sleep(20).then(() => (awake = true));
      expect(awake).toBe(false);
      await pass(40);
      await slept;
      expect(awake).toBe(true);
    });

    test('sleep rejects with the reason of its signal', async () => {
      const { clock } = make();
      const abort = new AbortController();
      const reason = new Error('stopping');
      const slept = clock.sleep(60_000, abort.signal);
      abort.abort(reason);
      await expect(slept).rejects.toBe(reason);
    });

    test('sleep does not begin under a signal that has aborted', async () => {
      const { clock } = make();
      const reason = new Error('stopped');
      await expect(clock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
    });
  });
}
