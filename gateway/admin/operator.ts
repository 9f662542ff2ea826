import type { Registry } from 'prom-client';
import type { AdminAnswer, AdminEndpoint } from '#contracts/admin.ts';
import type { Clock } from '#contracts/clock.ts';
import type { TrafficReader } from '#contracts/traffic.ts';
import type { CertificateFeed } from '../certificates/feed.ts';
import type { Report } from '../observe/report.ts';
import type { RouteRegister } from '../route-register.ts';
import { ErrorBook } from './error-book.ts';
import { explain } from './explain.ts';
import { observeTables } from './table-metrics.ts';
import type { WorkerId } from './totals.ts';
import { Totals } from './totals.ts';
import { TrafficBook } from './traffic-book.ts';
import { observeTraffic } from './traffic-metrics.ts';
import type { WorkerState } from './worker-metrics.ts';
import { observeWorkers } from './worker-metrics.ts';

/** What of the parent's the operator's view is made from. */
export interface OperatorSources {
  readonly clock: Clock;
  readonly domain: string;
  readonly publicHttpsPort: number;
  readonly routes: RouteRegister;
  readonly certificates: CertificateFeed;
  /** Undefined until workers are started. */
  readonly workers: () => OperatedWorkers | undefined;
  /** Of the table that every worker applies; -1 before the first. */
  readonly appliedRevision: () => number;
}

interface OperatedWorkers {
  readonly states: readonly WorkerState[];
  readonly problem: string | undefined;
}

const silentMs = 5_000; // five reports that did not come

/** What the gateway shows its operator and the api: sums of what its workers report, and its tables. */
export class OperatorView {
  readonly endpoints: readonly AdminEndpoint[];
  readonly traffic: TrafficReader;
  readonly #sources: OperatorSources;
  readonly #totals = new Totals();
  readonly #errors = new ErrorBook();
  readonly #book: TrafficBook;
  /** By process id: the number of the worker, and when it reported last. */
  readonly #heard = new Map<number, { readonly number: number; readonly atMs: number }>();

  constructor(sources: OperatorSources) {
    this.#sources = sources;
    this.#book = new TrafficBook(sources.clock.nowMs());
    this.traffic = { read: async (key) => this.#book.ofPod(key) };
    const answer = (query: URLSearchParams): AdminAnswer =>
      explain(query, { ...sources, errors: this.#errors, book: this.#book });
    this.endpoints = [{ path: '/explain', confidential: true, answer }];
  }

  /** Why the gateway does not serve as it should, in a sentence; undefined: it does. */
  problem(): string | undefined {
    const { routes, certificates, workers } = this.#sources;
    if (!routes.hasTables) return 'no controller has told any routes yet';
    return certificates.problem ?? workers()?.problem ?? this.#silence();
  }

  observe(registry: Registry): void {
    const { routes, certificates, workers, appliedRevision: applied } = this.#sources;
    observeTables(registry, { routes, certificates, applied });
    observeTraffic(registry, this.#totals);
    observeWorkers(registry, () => workers()?.states ?? [], this.#totals);
  }

  reported(worker: WorkerId, report: Report): void {
    const { clock, routes } = this.#sources;
    this.#heard.set(worker.pid, { number: worker.number, atMs: clock.monotonicMs() });
    this.#totals.fold(worker, report);
    for (const network of report.networks) {
      const route = routes.find(network.host);
      if (route) this.#book.add(worker, network, route);
    }
    for (const error of report.errors) this.#errors.add(error);
  }

  /** The worker process ended. */
  left(worker: WorkerId): void {
    this.#heard.delete(worker.pid);
    this.#totals.gone(worker);
    this.#book.gone(worker);
  }

  /** These hosts have no route any more. */
  dropped(hosts: readonly string[]): void {
    for (const host of hosts) this.#book.forget(host);
  }

  /** A worker that hangs still looks started. */
  #silence(): string | undefined {
    const nowMs = this.#sources.clock.monotonicMs();
    const silent = this.#heard.values().find(({ atMs }) => nowMs - atMs > silentMs);
    if (!silent) return undefined;
    const seconds = Math.round((nowMs - silent.atMs) / 1000);
    return `worker ${silent.number} has reported nothing for ${seconds} s: it hangs, or has no CPU`;
  }
}
