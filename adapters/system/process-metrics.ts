import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Registry } from 'prom-client';
import { Counter, Gauge } from 'prom-client';

const delayResolutionMs = 20; // fifty timers a second cost an idle process a thousandth of a core

/**
 * Adds what every program tells of its own process, under the names that Prometheus' clients share,
 * and which version of Podgate it is.
 */
export function observeProcess(registry: Registry, version: string): void {
  const registers = [registry];
  new Gauge({
    name: 'podgate_build_info',
    help: 'Always 1: its labels say which Podgate runs on which Node.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.version }, 1);
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'When the process was started, in Unix time.',
    registers,
  }).set(Math.round(Date.now() / 1000 - process.uptime()));
  const cpu: Counter = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time that the process has used, user and system.',
    registers,
    collect: () => {
      const { user, system } = process.cpuUsage();
      cpu.reset();
      cpu.inc((user + system) / 1e6);
    },
  });
  const memory: Gauge = new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Memory of the process that is in RAM.',
    registers,
    collect: () => memory.set(process.memoryUsage.rss()),
  });
  observeDelay(registry);
}

function observeDelay(registry: Registry): void {
  const delay = monitorEventLoopDelay({ resolution: delayResolutionMs });
  delay.enable();
  const lag: Gauge = new Gauge({
    name: 'podgate_event_loop_lag_seconds',
    help: 'How late timers of this process were since the scrape before: the median, and the worst.',
    labelNames: ['quantile'],
    registers: [registry],
    collect: () => {
      const late = (percentile: number): number =>
        // Nothing measured reads as a number beyond all others.
        delay.count === 0
          ? 0
          : Math.max(0, delay.percentile(percentile) / 1e9 - delayResolutionMs / 1000);
      lag.set({ quantile: '0.5' }, late(50));
      lag.set({ quantile: '1' }, late(100));
      delay.reset();
    },
  });
}
