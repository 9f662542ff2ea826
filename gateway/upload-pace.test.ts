import { expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { limits } from './limits.ts';
import { UploadPace } from './upload-pace.ts';

const GB = 1024 ** 3;

/** How many bytes come before it is cut, when so many come every so often. */
async function uploaded(
  { bytes, everyMs, grpc = false }: { bytes: number; everyMs: number; grpc?: boolean },
  enough: number,
): Promise<number> {
  const clock = new ManualClock();
  const pace = new UploadPace(limits);
  pace.begin(grpc, clock.monotonicMs());
  let total = 0;
  while (total < enough) {
    await clock.advance(everyMs);
    if (pace.deadlineMs <= clock.monotonicMs()) return total;
    pace.took(bytes, clock.monotonicMs());
    total += bytes;
  }
  return total;
}

test.each([
  ['10 GB at 10 KB/s', { bytes: 600_000, everyMs: 59_000 }, 10 * GB],
  ['10 KB/s by the second', { bytes: 10_000, everyMs: 1_000 }, 10_000_000],
  ['a little above the minimum', { bytes: 540, everyMs: 1_000 }, 1_000_000],
  ['a gRPC stream of rare messages', { bytes: 20, everyMs: 50_000, grpc: true }, 10_000],
])('%s lives', async (_name, pace, enough) => {
  expect(await uploaded(pace, enough)).toBeGreaterThanOrEqual(enough);
});

test.each([
  ['a byte every 50 s', { bytes: 1, everyMs: 50_000 }],
  ['a byte a second', { bytes: 1, everyMs: 1_000 }],
  ['a little below the minimum', { bytes: 500, everyMs: 1_000 }],
  ['nothing', { bytes: 0, everyMs: 1_000 }],
  ['a gRPC stream of nothing', { bytes: 0, everyMs: 1_000, grpc: true }],
])('%s does not', async (_name, pace) => {
  expect(await uploaded(pace, GB)).toBeLessThan(limits.bodyBytesPerIdleMin);
});

test('who stops in the middle has as long as who begins', () => {
  const pace = new UploadPace(limits);
  pace.begin(false, 1_000);
  pace.took(10 * limits.bodyBytesPerIdleMin, 5_000);
  expect(pace.deadlineMs).toBe(5_000 + limits.bodyIdleMs);
  pace.took(1, 50_000);
  expect(pace.deadlineMs).toBe(5_000 + limits.bodyIdleMs);
});

test('who is kept from sending is not to blame', () => {
  const pace = new UploadPace(limits);
  pace.begin(false, 0);
  pace.took(1, 1_000);
  pace.restart(55_000);
  expect(pace.deadlineMs).toBe(55_000 + limits.bodyIdleMs);
});
