import type { Registry } from 'prom-client';
import type { Sample } from './series.ts';
import { counter, gauge } from './series.ts';
import type { Living, Totals } from './totals.ts';

/** What is known of the worker in one slot without asking it. */
export interface WorkerState {
  readonly number: number;
  readonly ready: boolean;
  /** How often it was started again. */
  readonly restarts: number;
}

const labelNames = ['worker'];
const labelsOf = ({ number }: WorkerState) => ({ worker: String(number) });

export function observeWorkers(
  registry: Registry,
  workers: () => readonly WorkerState[],
  totals: Totals,
): void {
  observeSlots(registry, workers);
  observeProcesses(registry, totals);
}

function observeSlots(registry: Registry, workers: () => readonly WorkerState[]): void {
  gauge(
    registry,
    {
      name: 'podgate_gateway_worker_ready',
      help: 'Whether the worker process accepts connections (1) or is being started (0).',
      labelNames,
    },
    () => workers().map((worker) => ({ labels: labelsOf(worker), value: worker.ready ? 1 : 0 })),
  );
  counter(
    registry,
    {
      name: 'podgate_gateway_worker_restarts_total',
      help: 'Worker processes that were started in place of one that ended or was asked to.',
      labelNames,
    },
    () => workers().map((worker) => ({ labels: labelsOf(worker), value: worker.restarts })),
  );
}

function observeProcesses(registry: Registry, totals: Totals): void {
  counter(
    registry,
    {
      name: 'podgate_gateway_worker_cpu_seconds_total',
      help: 'CPU time of worker processes, user and system; those before it in its place included.',
      labelNames,
    },
    () =>
      Object.entries(totals.cpuSeconds).map(([worker, value]) => ({ labels: { worker }, value })),
  );
  gauge(
    registry,
    {
      name: 'podgate_gateway_worker_resident_memory_bytes',
      help: 'Memory of worker processes that is in RAM.',
      labelNames,
    },
    () => largest(totals.living, {}, ({ now }) => now.residentBytes),
  );
  gauge(
    registry,
    {
      name: 'podgate_gateway_worker_event_loop_lag_seconds',
      help: 'How late timers of the worker were in the second before its last report: the median, and the worst.',
      labelNames: [...labelNames, 'quantile'],
    },
    () => [
      ...largest(totals.living, { quantile: '0.5' }, ({ now }) => now.lag.p50Seconds),
      ...largest(totals.living, { quantile: '1' }, ({ now }) => now.lag.maxSeconds),
    ],
  );
}

/** One sample for each place; while a worker is replaced two report from it, and the larger counts. */
function largest(
  living: readonly Living[],
  labels: Readonly<Record<string, string>>,
  pick: (worker: Living) => number,
): readonly Sample[] {
  const byNumber = new Map<number, number>();
  for (const worker of living) {
    byNumber.set(worker.number, Math.max(pick(worker), byNumber.get(worker.number) ?? 0));
  }
  return Array.from(byNumber, ([number, value]) => ({
    labels: { worker: String(number), ...labels },
    value,
  }));
}
