import { setTimeout } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { parseExposition, valueOf } from '../../test/exposition.ts';
import { observeProcess } from './process-metrics.ts';

test('the process tells its version, age, CPU time, memory and how late its timers are', async () => {
  const registry = new Registry();
  observeProcess(registry, '1.2.3');
  const before = await parseExposition(registry);
  const build = { version: '1.2.3', node: process.version };
  expect(valueOf(before, 'podgate_build_info', build)).toBe(1);
  const started = valueOf(before, 'process_start_time_seconds') ?? 0;
  expect(Math.abs(Date.now() / 1000 - process.uptime() - started)).toBeLessThan(2);
  expect(valueOf(before, 'process_resident_memory_bytes')).toBeGreaterThan(10_000_000);

  // Timers are watched from the first turn on; then the loop stands until CPU time was used.
  await setTimeout(40);
  const start = process.cpuUsage();
  while (process.cpuUsage(start).user < 150_000);
  await setTimeout(40);
  const after = await parseExposition(registry);
  const used = (families: typeof before): number =>
    valueOf(families, 'process_cpu_seconds_total') ?? 0;
  expect(used(after) - used(before)).toBeGreaterThan(0.1);
  expect(valueOf(after, 'podgate_event_loop_lag_seconds', { quantile: '1' })).toBeGreaterThan(0.1);
});
