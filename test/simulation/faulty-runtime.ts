import type { LogPiece } from '#contracts/logs.ts';
import type { Observed, RunSpec, Runtime } from '../../controller/runtime/runtime.ts';
import { RuntimeUnavailable } from '../../controller/runtime/runtime.ts';
import type { Life } from './life.ts';
import type { Network } from './network.ts';
import type { PodPlace } from './pod-place.ts';
import type { Link } from './subscribed.ts';
import { subscribed } from './subscribed.ts';

/** How long an answer may take, beyond the grace of a stop. */
const usualMs = 3_000;

const unavailable = (): Error => new RuntimeUnavailable('where pods run nobody answers');

/** It is told at the moment the controller decides so. */
export interface RuntimeWatcher {
  acting(this: void, what: string): void;
  /** A run that was seen is asked to end. */
  stopping(this: void, key: string, run: number): void;
}

/**
 * The place where pods run as one controller has it over the network. What it stops and removes is the
 * run that it saw, as clusters know it by its uid.
 */
export class FaultyRuntime implements Runtime {
  readonly #place: PodPlace;
  readonly #link: Link;
  readonly #seen = new Map<string, Observed>();

  readonly #watcher: RuntimeWatcher;

  constructor(place: PodPlace, life: Life, network: Network, watcher: RuntimeWatcher) {
    this.#place = place;
    this.#watcher = watcher;
    this.#link = { life, network, service: 'runtime' };
  }

  start(spec: RunSpec): Promise<void> {
    this.#watcher.acting(`start ${spec.key}`);
    return this.#ask(async () => this.#place.start(spec));
  }

  async observe(key: string): Promise<Observed | undefined> {
    const seen = await this.#ask(async () => this.#place.observe(key));
    if (seen) this.#seen.set(key, seen);
    else this.#seen.delete(key);
    return seen;
  }

  list(): Promise<readonly string[]> {
    return this.#ask(async () => this.#place.keys());
  }

  stop(key: string, graceMs: number): Promise<void> {
    const seen = this.#seen.get(key);
    this.#watcher.acting(`stop ${key}`);
    if (seen) this.#watcher.stopping(key, seen.run);
    return this.#ask(() => this.#place.stop(key, seen, graceMs), graceMs + usualMs);
  }

  remove(key: string): Promise<void> {
    const seen = this.#seen.get(key);
    this.#watcher.acting(`remove ${key}`);
    if (seen) this.#watcher.stopping(key, seen.run);
    return this.#ask(() => this.#place.remove(key, seen));
  }

  async logs(): Promise<string> {
    return '';
  }

  async *followLogs(): AsyncGenerator<LogPiece> {
    // Nobody asks for logs here.
  }

  events(signal: AbortSignal): AsyncIterable<string> {
    const source = (ended: AbortSignal): AsyncIterable<string> => this.#place.events(ended);
    return subscribed({ source, failure: unavailable }, this.#link, signal);
  }

  async stopAll(): Promise<void> {
    // Pods outlive controllers.
  }

  close(): void {
    // Nothing is open.
  }

  #ask<Answer>(perform: () => Promise<Answer>, deadlineMs = usualMs): Promise<Answer> {
    const { life, network } = this.#link;
    return network.call(life, 'runtime', { perform, failure: unavailable, deadlineMs });
  }
}
