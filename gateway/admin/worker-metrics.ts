import type { Registry } from 'prom-client';
import { counter, gauge } from './series.ts';

/** What is known of the worker in one slot without asking it. */
export interface WorkerState {
  readonly number: number;
  readonly ready: boolean;
  /** How often it was started again. */
  readonly restarts: number;
}

const labelNames = ['worker'];
const labelsOf = ({ number }: WorkerState) => ({ worker: String(number) });

export function observeWorkers(registry: Registry, workers: () => readonly WorkerState[]): void {
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
