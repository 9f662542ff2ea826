import { expect, test } from 'vitest';
import { editUnderLoad } from '../edits/edits.ts';

// The same with 10,000 tunnels for a minute: test/long/edits.test.ts.
test('1,000 edits a second cut no tunnel and misroute nobody', async () => {
  const { edits, clients } = await editUnderLoad({ tunnels: 100, perSecond: 1_000, seconds: 3 });
  expect(clients.faults).toEqual([]);
  expect(clients.open).toBe(200);
  expect(clients.answers).toBeGreaterThanOrEqual(clients.open);
  expect(clients.requests).toBeGreaterThan(100);
  expect(edits).toBeGreaterThan(2_900);
});
