import type { GaugeConfiguration, Registry } from 'prom-client';
import { Gauge } from 'prom-client';
import type { Certs } from './certs.ts';
import { expiryKinds, expiryStates } from './expiry.ts';

/**
 * Metrics of certificates: when the first ends, how many should have been renewed, what waits. Nothing
 * is said before `running` is there.
 */
export function observeCerts(
  registry: Registry,
  running: () => Certs | undefined,
  nowMs: () => number,
): void {
  const add = (terms: GaugeConfiguration<string>): void =>
    registry.registerMetric(new Gauge({ ...terms, registers: [] }));
  add({
    name: 'podgate_certs_soonest_expiry_seconds',
    help: 'Until the first certificate of a kind ends; negative when it has.',
    labelNames: ['kind'],
    collect() {
      this.reset();
      for (const kind of expiryKinds) {
        const atMs = running()?.expiry.soonestMs[kind];
        if (atMs !== undefined) this.set({ kind }, (atMs - nowMs()) / 1000);
      }
    },
  });
  add({
    name: 'podgate_certs_certificates',
    help: 'Certificates that are wanted and there, a minute ago: valid, late (in the last sixth of their life, and not renewed), expired.',
    labelNames: ['state'],
    collect() {
      this.reset();
      const counts = running()?.expiry.counts;
      if (counts) for (const state of expiryStates) this.set({ state }, counts[state]);
    },
  });
  add({
    name: 'podgate_certs_orders',
    help: 'Certificates of public authorities that wait for their order, and that are ordered now.',
    labelNames: ['state'],
    collect() {
      this.reset();
      const orders = running()?.orders;
      if (!orders) return;
      this.set({ state: 'waiting' }, orders.waiting);
      this.set({ state: 'under_way' }, orders.underWay);
    },
  });
}
