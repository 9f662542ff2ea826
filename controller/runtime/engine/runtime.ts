import { existsSync, mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { LogPiece, LogStart, LogWindow } from '#contracts/logs.ts';
import { Broadcast } from '../broadcast.ts';
import { beginRun } from '../output/begin-run.ts';
import { PodOutputs } from '../output/pod-outputs.ts';
import { readRecords } from '../records.ts';
import type { Observed, RunSpec, Runtime } from '../runtime.ts';
import { RunInProgress } from '../runtime.ts';
import type { EngineAddress } from './address.ts';
import { ContainerRun } from './container-run.ts';
import type { EngineFacts } from './engine.ts';
import { Engine } from './engine.ts';
import { installationOf } from './installation.ts';
import { runLabelOf } from './labels.ts';
import { Launcher } from './launcher.ts';
import { outputEnd } from './output.ts';
import { newRecord, zRecord } from './records.ts';
import type { Found } from './watch.ts';
import { findContainers, watchContainers } from './watch.ts';

/** What stopping needs besides the grace: to kill, to read the last words, to note the end. */
const stopOverheadMs = 1_500;

export interface EngineRuntimePorts {
  readonly clock: Clock;
  readonly log: Log;
}

export interface EngineRuntimeSettings {
  readonly address: EngineAddress;
  /** Records and output of pods are kept below. */
  readonly dataDir: string;
}

const containersFolder = (dataDir: string): string => join(dataDir, 'containers');

/** Whether pods of this data directory have run in containers, and may still. */
export function haveRunContainers(dataDir: string): boolean {
  const root = containersFolder(dataDir);
  return existsSync(root) && readRecords(root, zRecord).size > 0;
}

/**
 * Runs pods as containers of an engine that speaks the Docker Engine API (Docker, Podman) on this
 * machine. Finds the runs that an earlier controller with this data directory has started. Throws
 * `RuntimeUnavailable` when no engine answers.
 */
export async function createEngineRuntime(
  ports: EngineRuntimePorts,
  { address, dataDir }: EngineRuntimeSettings,
): Promise<Runtime> {
  const engine = new Engine(address);
  const facts = await engine.facts();
  const root = containersFolder(dataDir);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const runtime = new EngineRuntime({ ...ports, engine, facts, root });
  await runtime.adopt();
  return runtime;
}

interface Place extends EngineRuntimePorts {
  readonly engine: Engine;
  readonly facts: EngineFacts;
  readonly root: string;
}

class EngineRuntime implements Runtime {
  readonly #place: Place;
  readonly #installation: string;
  readonly #launcher: Launcher;
  readonly #runs = new Map<string, ContainerRun>();
  readonly #events = new Broadcast();
  readonly #outputs: PodOutputs;
  readonly #closed = new AbortController();

  constructor(place: Place) {
    this.#place = place;
    const { engine, clock, facts, root } = place;
    this.#outputs = new PodOutputs(clock, (key) => this.#folder(key));
    this.#installation = installationOf(root);
    const site = { installation: this.#installation, engine: facts, root };
    this.#launcher = new Launcher(engine, site, clock);
  }

  /** Takes over what runs; knows afterwards which of it listens. */
  async adopt(): Promise<void> {
    const { engine, root, log, clock } = this.#place;
    const containers = await findContainers(engine, this.#installation);
    for (const [key, record] of readRecords(root, zRecord)) {
      const container = containers.find(
        ({ label }) => label.key === key && label.run === record.run,
      );
      // Not begun when its controller ended: it is as if it had not been asked for.
      if (!record.end && !record.began && !container?.begun) continue;
      const id = container?.id ?? record.container;
      this.#runs.set(key, this.#run(key, { ...record, container: id }));
    }
    for (const { id, label, begun } of containers) {
      if (this.#runs.has(label.key) || !begun) continue;
      const record = newRecord(label, clock.nowMs(), outputEnd(this.#folder(label.key)));
      this.#runs.set(label.key, this.#run(label.key, { ...record, container: id }));
    }
    await Promise.all([...this.#runs.values()].map((run) => run.adopt()));
    for (const [key, { alive, run }] of this.#runs)
      if (alive) log.info({ key, run }, 'found a running pod');
    await this.#sweep(containers);
    void watchContainers(
      { engine, clock, log, installation: this.#installation, signal: this.#closed.signal },
      { changed: (key) => this.#look(key), all: (found) => this.#lookAtAll(found) },
    );
  }

  async start(spec: RunSpec): Promise<void> {
    const { key } = spec;
    const before = this.#runs.get(key);
    if (before?.run === spec.run) return;
    if (before?.alive) throw new RunInProgress(`run ${before.run} of ${key} is alive`);
    const folder = this.#folder(key);
    const nowMs = this.#place.clock.nowMs();
    const outputStart = await beginRun(folder, { run: spec.run, nowMs });
    if (this.#closed.signal.aborted) return;
    const record = newRecord(runLabelOf(spec), nowMs, outputStart);
    const run = this.#run(key, record);
    this.#runs.set(key, run);
    run.launch(spec);
  }

  async observe(key: string): Promise<Observed | undefined> {
    return this.#runs.get(key)?.observe();
  }

  async list(): Promise<readonly string[]> {
    return [...this.#runs.keys()];
  }

  async stop(key: string, graceMs: number): Promise<void> {
    await this.#runs.get(key)?.stop(graceMs);
  }

  async remove(key: string): Promise<void> {
    await this.stop(key, 0);
    this.#runs.get(key)?.close();
    this.#outputs.removed(key);
    await rm(this.#folder(key), { recursive: true, force: true });
    this.#runs.delete(key);
    const [tenant = ''] = key.split('/');
    const others = [...this.#runs.keys()].some((other) => other.startsWith(`${tenant}/`));
    if (!others) await this.#launcher.discardNetwork(tenant);
  }

  logs(key: string, window?: LogWindow): Promise<string> {
    return this.#outputs.read(key, window);
  }

  followLogs(key: string, start: LogStart, signal: AbortSignal): AsyncIterable<LogPiece> {
    return this.#outputs.follow(key, start, signal);
  }

  events(signal: AbortSignal): AsyncIterable<string> {
    return this.#events.receive(signal);
  }

  async stopAll(deadlineMs: number): Promise<void> {
    const graceMs = Math.max(0, deadlineMs - stopOverheadMs);
    const stops = [...this.#runs.values()].map((run) => run.stop(graceMs));
    // One that cannot be ended must not keep the others waiting.
    await Promise.allSettled(stops);
    this.close();
  }

  close(): void {
    this.#closed.abort();
    this.#outputs.close();
    for (const run of this.#runs.values()) run.close();
  }

  #run(key: string, record: ReturnType<typeof newRecord>): ContainerRun {
    const { engine, facts, clock, log } = this.#place;
    const changed = (): void => this.#events.send(key);
    return new ContainerRun(this.#folder(key), record, {
      engine,
      kind: facts.name,
      launcher: this.#launcher,
      clock,
      log,
      changed,
    });
  }

  async #look(key: string): Promise<void> {
    await this.#runs.get(key)?.refresh();
  }

  /** After a gap in the events: a container may be gone that nobody told of. */
  async #lookAtAll(found: readonly Found[]): Promise<void> {
    const living = [...this.#runs.values()].filter(({ alive }) => alive);
    await Promise.all(living.map((run) => run.refresh().catch(() => undefined)));
    await this.#sweep(found);
  }

  /** Removes our containers that belong to no run that we know: an answer was lost, or a removal. */
  async #sweep(found: readonly Found[]): Promise<void> {
    for (const { id, label } of found) {
      const run = this.#runs.get(label.key);
      const isCurrent = run?.run === label.run && run.alive;
      if (!isCurrent) await this.#launcher.discard(id);
    }
  }

  #folder(key: string): string {
    return join(this.#place.root, key);
  }
}
