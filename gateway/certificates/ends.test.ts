import { expect, test } from 'vitest';
import { endsOf } from './ends.ts';
import { HostIndex } from './host-index.ts';

const nowMs = Date.UTC(2026, 10, 30);
const dayMs = 24 * 60 * 60 * 1000;

/** Each certificate by its hosts and the days until it ends; pods are below pods.test. */
function ends(certificates: Record<string, number>, routed: readonly string[] = []) {
  const index = new HostIndex();
  for (const [hosts, days] of Object.entries({ '*.pods.test': 30, ...certificates }))
    index.put(hosts, { version: 1, hosts: hosts.split(' '), notAfterMs: nowMs + days * dayMs });
  const { firstMs = Infinity, ...counts } = endsOf(index, (host) => routed.includes(host), nowMs);
  return { ...counts, firstDays: (firstMs - nowMs) / dayMs };
}

test('the first to end is told, and how many do in seven days or have', () => {
  const certificates = {
    test: 20,
    'a.pods.test': 7,
    'b.pods.test b-x.pods.test': -1,
    'c.pods.test': 7.1,
  };
  const routed = ['a.pods.test', 'b-x.pods.test', 'c.pods.test'];
  expect(ends(certificates, routed)).toEqual({ ended: 1, within7Days: 2, firstDays: -1 });
});

test('what is kept for a pod that is gone is shown to nobody and counts for nothing', () => {
  expect(ends({ 'gone.pods.test': -1 })).toEqual({ ended: 0, within7Days: 0, firstDays: 30 });
});

test('domains have no routes, and count', () => {
  for (const hosts of ['test', '*.pods.other.test', 'other.test pods.other.test'])
    expect(ends({ [hosts]: 1 })).toEqual({ ended: 0, within7Days: 1, firstDays: 1 });
});

test('without certificates nothing ends', () => {
  const none = endsOf(new HostIndex(), () => true, nowMs);
  expect(none).toEqual({ firstMs: undefined, ended: 0, within7Days: 0 });
});
