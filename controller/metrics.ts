import type { Registry } from 'prom-client';
import { Gauge } from 'prom-client';

/** Tells whether this controller is the one that acts; exactly one of all should. */
export function observeLeading(registry: Registry, leads: () => boolean): void {
  const gauge: Gauge = new Gauge({
    name: 'podgate_controller_leads',
    help: 'Whether this controller holds the lease and acts (1), or stands by (0).',
    registers: [registry],
    collect: () => gauge.set(leads() ? 1 : 0),
  });
}
