import { expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { RateLimit } from './rate-limit.ts';

type Urgency = Parameters<RateLimit['take']>[1];

/** Of a limit of ten a second and five at once, who was let through in the order in which they were. */
function bench() {
  const clock = new ManualClock();
  const limit = new RateLimit(clock, { perSecond: 10, atOnce: 5 });
  const through: string[] = [];
  const take = (urgency: Urgency, count: number): void => {
    for (let i = 0; i < count; i += 1)
      void limit.take(new AbortController().signal, urgency).then(() => through.push(urgency));
  };
  const after = async (ms: number): Promise<Record<Urgency, number>> => {
    await clock.advance(ms);
    const count = (urgency: Urgency): number => through.filter((one) => one === urgency).length;
    return { patient: count('patient'), pressing: count('pressing') };
  };
  return { limit, take, after };
}

test('so many go through at once, and so many a second after that', async () => {
  const { take, after } = bench();
  take('patient', 20);
  expect(await after(0)).toEqual({ patient: 5, pressing: 0 });
  expect(await after(500)).toEqual({ patient: 10, pressing: 0 });
  expect(await after(1_000)).toEqual({ patient: 20, pressing: 0 });
});

test('what presses does not wait behind what does not', async () => {
  const { take, after } = bench();
  take('patient', 50);
  take('pressing', 5);
  expect(await after(0)).toEqual({ patient: 5, pressing: 5 });
});

test('who is patient waits for what presses, but not for ever', async () => {
  const { take, after } = bench();
  take('pressing', 5);
  for (let second = 0; second < 10; second += 1) {
    take('pressing', 8);
    await after(1_000);
  }
  take('patient', 1);
  const { patient, pressing } = await after(0);
  expect({ patient, pressing }).toEqual({ patient: 1, pressing: 85 });
});

test('what presses waits in turn when it is too much by itself', async () => {
  const { take, after } = bench();
  take('pressing', 15);
  expect(await after(0)).toEqual({ patient: 0, pressing: 5 });
  expect(await after(1_000)).toEqual({ patient: 0, pressing: 15 });
});

test('while few wait no more go through than the rate, over a long time, whoever they are', async () => {
  const { take, after } = bench();
  const waitMax = 10;
  let asked = 0;
  for (let second = 0; second < 60; second += 1) {
    const free = waitMax - (asked - (await after(0)).patient);
    take('patient', free);
    asked += free;
    take('pressing', 6);
    await after(1_000);
  }
  const { patient, pressing } = await after(0);
  expect(pressing).toBe(360);
  // Those that may be ahead of their time are those that waited, and what pressed at once.
  expect(patient + pressing).toBeLessThanOrEqual(60 * 10 + 5 + waitMax + 6);
  expect(patient).toBeGreaterThan(60 * 4 - waitMax);
});

test('who gives up waits no longer', async () => {
  const { limit, take, after } = bench();
  take('patient', 50);
  const aborter = new AbortController();
  const waits = limit.take(aborter.signal, 'patient');
  aborter.abort(new Error('enough'));
  await expect(waits).rejects.toThrow('enough');
  await after(0);
});
