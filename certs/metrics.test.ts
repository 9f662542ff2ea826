import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { expiryOf } from './expiry.ts';
import { observeCerts } from './metrics.ts';

const dayMs = 24 * 60 * 60 * 1000;
/** Of ninety days, with so many left. */
const left = (days: number) => ({ notBeforeMs: (days - 90) * dayMs, notAfterMs: days * dayMs });

test('the first end of each kind is told, and how many are late', async () => {
  const found = [
    ['domain', left(60)],
    ['wildcard', left(50)],
    ['tenant/acme', left(40)],
    ['pod/default/a', left(16)],
    ['pod/default/b', left(14)],
    ['pod/default/c', left(-1)],
  ] as const;
  const expiry = expiryOf(found, 0);
  expect(expiry.counts).toEqual({ valid: 4, late: 1, expired: 1 });
  const registry = new Registry();
  const certs = {
    rootPem: '',
    problem: () => undefined,
    orders: { waiting: 7, underWay: 2 },
    expiry,
    stop: async () => undefined,
  };
  let running: typeof certs | undefined;
  observeCerts(
    registry,
    () => running,
    () => dayMs,
  );
  expect(await registry.metrics()).not.toMatch(/^podgate_certs\w+\{/m);
  running = certs;
  const lines = (await registry.metrics()).split('\n').filter((line) => !line.startsWith('#'));
  expect(lines.filter((line) => line !== '')).toEqual([
    `podgate_certs_soonest_expiry_seconds{kind="site"} ${49 * 86_400}`,
    `podgate_certs_soonest_expiry_seconds{kind="tenant"} ${39 * 86_400}`,
    `podgate_certs_soonest_expiry_seconds{kind="pod"} ${-2 * 86_400}`,
    'podgate_certs_certificates{state="valid"} 4',
    'podgate_certs_certificates{state="late"} 1',
    'podgate_certs_certificates{state="expired"} 1',
    'podgate_certs_orders{state="waiting"} 7',
    'podgate_certs_orders{state="under_way"} 2',
  ]);
});
