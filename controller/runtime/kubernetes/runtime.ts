import { EventEmitter } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { LogPiece, LogStart, LogWindow } from '#contracts/logs.ts';
import type { Random } from '#contracts/random.ts';
import { Broadcast } from '../broadcast.ts';
import { beginRun } from '../output/begin-run.ts';
import { followOutput } from '../output/follow.ts';
import { takeSnapshot } from '../output/snapshot.ts';
import type { Observed, RunSpec, Runtime } from '../runtime.ts';
import { readRecords, writeRecord } from '../records.ts';
import { RunInProgress, RuntimeUnavailable } from '../runtime.ts';
import { KubernetesApi } from './api.ts';
import { readEvent } from './events.ts';
import { annotationOf, Naming, readAnnotation, runAnnotation } from './names.ts';
import { PodObjects, Refused } from './objects.ts';
import { PodOutput } from './output.ts';
import { newRecord, PodRun } from './pod-run.ts';
import type { Pod } from './pod-state.ts';
import { zPod } from './pod-state.ts';
import type { Record } from './records.ts';
import { zRecord } from './records.ts';
import { Reflector } from './reflector.ts';
import { checkRights } from './rights.ts';

export interface KubernetesRuntimeOptions {
  readonly config: KubeConfig;
  /** Of all pods, or with `{tenant}` in it, of each tenant's. */
  readonly namespace: string;
  /** Names this Podgate among those that share the cluster. */
  readonly installation: string;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What a node may need beyond the grace to say that a pod is gone. */
const goneMs = 60_000;

/**
 * Runs pods on a Kubernetes cluster. Finds the runs that an earlier controller started. Throws
 * `MissingRights` when it may not do what it has to, and `RuntimeUnavailable`.
 */
export async function createKubernetesRuntime(options: KubernetesRuntimeOptions): Promise<Runtime> {
  const runtime = new KubernetesRuntime(options);
  await runtime.open();
  return runtime;
}

class KubernetesRuntime implements Runtime {
  readonly #options: KubernetesRuntimeOptions;
  readonly #api: KubernetesApi;
  readonly #naming: Naming;
  readonly #objects: PodObjects;
  readonly #root: string;
  readonly #runs = new Map<string, PodRun>();
  readonly #byUid = new Map<string, PodRun>();
  /** Of runs whose Pod is being created: the watch may tell of it first. */
  readonly #starting = new Map<string, Record>();
  readonly #outputs = new Map<string, PodOutput>();
  readonly #events = new Broadcast();
  readonly #removals = new EventEmitter().setMaxListeners(0);
  readonly #closed = new AbortController();

  constructor(options: KubernetesRuntimeOptions) {
    const { clock, config, dataDir } = options;
    this.#options = options;
    this.#api = new KubernetesApi(config, options);
    this.#naming = new Naming(options.installation, options.namespace);
    this.#objects = new PodObjects(this.#api, this.#naming, (ms) => clock.sleep(ms));
    this.#root = join(dataDir, 'kubernetes');
  }

  async open(): Promise<void> {
    await checkRights(this.#api, this.#naming);
    for (const record of readRecords(this.#root, zRecord).values()) this.#know(record);
    const shared = this.#naming.sharedNamespace;
    const within = shared === undefined ? '/api/v1' : `/api/v1/namespaces/${shared}`;
    const terms = { ...this.#options, api: this.#api, signal: this.#closed.signal };
    const pods = new Reflector(
      terms,
      { path: `${within}/pods`, query: { labelSelector: this.#naming.selector() } },
      {
        replaced: (objects) => this.#replaced(objects),
        changed: (type, object) => this.#seen(object, type === 'DELETED'),
      },
    );
    const events = new Reflector(
      terms,
      { path: `${within}/events`, query: { fieldSelector: 'involvedObject.kind=Pod' } },
      {
        replaced: (objects) => objects.forEach((object) => this.#noted(object)),
        changed: (type, object) => type !== 'DELETED' && this.#noted(object),
      },
    );
    await pods.list();
    // What was left of those without a Pod is known before anybody asks.
    const without = [...this.#runs.values()].filter(({ pod }) => !pod);
    await Promise.all(without.map(({ ended }) => ended));
    void pods.run();
    void events.run();
  }

  async start(spec: RunSpec): Promise<void> {
    const { key } = spec;
    const before = this.#runs.get(key);
    if (before?.is(spec)) return;
    if (before?.alive) throw new RunInProgress(`run ${before.record.run} of ${key} is alive`);
    if (before?.pod) await this.#objects.clear(before.pod);
    const nowMs = this.#options.clock.nowMs();
    const outputStart = await beginRun(this.#folder(key), { run: spec.run, nowMs });
    const record = newRecord(annotationOf(spec), nowMs, outputStart);
    this.#starting.set(key, record);
    try {
      const pod = await this.#objects.create(spec);
      if (this.#runs.get(key)?.is(spec)) return;
      writeRecord(this.#folder(key), record);
      this.#know(record);
      this.#seen(pod, false);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { message } = error;
      const how = { by: 'refused', exitCode: null, signal: null } as const;
      const ended = { ...record, end: { ...how, message, endedAtMs: nowMs } };
      writeRecord(this.#folder(key), ended);
      this.#know(ended);
      this.#events.send(key);
    } finally {
      this.#starting.delete(key);
    }
  }

  async observe(key: string): Promise<Observed | undefined> {
    return this.#runs.get(key)?.observe();
  }

  async list(): Promise<readonly string[]> {
    return [...this.#runs.keys()];
  }

  async stop(key: string, graceMs: number): Promise<void> {
    const run = this.#runs.get(key);
    if (!run?.alive) return;
    run.stopping();
    const { pod } = run;
    const watching = new AbortController();
    run.output.follow(watching.signal);
    try {
      // Nought would free the name while the program may still run.
      const graceSeconds = Math.max(1, Math.ceil(graceMs / 1_000));
      if (!pod || !(await this.#objects.delete(pod, graceSeconds))) return await run.vanished();
      await this.#within(run.ended, graceSeconds * 1_000 + goneMs, pod);
    } finally {
      watching.abort();
    }
  }

  async remove(key: string): Promise<void> {
    await this.stop(key, 0);
    const run = this.#runs.get(key);
    if (run?.pod) await this.#objects.clear(run.pod);
    await this.#objects.deleteCompanions(key);
    run?.close();
    this.#runs.delete(key);
    this.#outputs.delete(key);
    this.#removals.emit(key);
    await rm(this.#folder(key), { recursive: true, force: true });
  }

  async logs(key: string, window: LogWindow = {}): Promise<string> {
    // What the API server does not give now is had later; what is here is shown.
    await this.#outputs.get(key)?.update();
    await using kept = await takeSnapshot(this.#folder(key));
    return (await kept.read(await kept.startOf(window), kept.end)).toString();
  }

  async *followLogs(key: string, start: LogStart, signal: AbortSignal): AsyncGenerator<LogPiece> {
    const removal = new AbortController();
    const removed = (): void => removal.abort();
    this.#removals.on(key, removed);
    const done = new AbortController();
    const ended = AbortSignal.any([signal, this.#closed.signal]);
    try {
      const output = this.#outputOf(key);
      await output.update();
      output.follow(AbortSignal.any([ended, done.signal]));
      const terms = { clock: this.#options.clock, signal: ended, removed: removal.signal };
      yield* followOutput(this.#folder(key), start, terms);
    } finally {
      done.abort();
      this.#removals.off(key, removed);
    }
  }

  events(signal: AbortSignal): AsyncIterable<string> {
    return this.#events.receive(signal);
  }

  async stopAll(deadlineMs: number): Promise<void> {
    if (this.#closed.signal.aborted) return;
    await Promise.all([...this.#runs.keys()].map((key) => this.stop(key, deadlineMs)));
    this.close();
  }

  close(): void {
    this.#closed.abort();
    for (const run of this.#runs.values()) run.close();
  }

  #folder(key: string): string {
    return join(this.#root, key);
  }

  #outputOf(key: string): PodOutput {
    const known = this.#outputs.get(key);
    if (known) return known;
    const made = new PodOutput(this.#api, this.#folder(key), this.#options.clock);
    this.#outputs.set(key, made);
    return made;
  }

  #know(record: Record): PodRun {
    const { key } = record;
    this.#runs.get(key)?.close();
    const { clock, log } = this.#options;
    const run = new PodRun(record, {
      folder: this.#folder(key),
      output: this.#outputOf(key),
      clock,
      log,
      changed: () => this.#events.send(key),
    });
    this.#runs.set(key, run);
    return run;
  }

  #replaced(objects: readonly unknown[]): void {
    const there = new Set(objects.map((object) => zPod.parse(object).metadata.uid));
    for (const [uid, run] of this.#byUid) if (!there.has(uid)) this.#gone(uid, run);
    for (const object of objects) this.#seen(object, false);
    // Ended while nobody watched, and deleted.
    for (const run of this.#runs.values()) if (run.alive && !run.pod) void run.vanished();
  }

  #seen(object: unknown, deleted: boolean): void {
    const pod = zPod.parse(object);
    const { uid, annotations, labels } = pod.metadata;
    const noted = readAnnotation(annotations?.[runAnnotation]);
    if (!noted || !this.#naming.isOurs(labels)) return;
    const run = this.#runOf(noted, pod);
    if (!run) return;
    if (deleted) return this.#gone(uid, run);
    this.#byUid.set(uid, run);
    run.see(pod);
  }

  /** The run of a Pod: one that we know, or one that another controller began. */
  #runOf(noted: NonNullable<ReturnType<typeof readAnnotation>>, pod: Pod): PodRun | undefined {
    const known = this.#runs.get(noted.key);
    if (known?.is(noted)) return known;
    if (known && (known.record.run > noted.run || known.alive)) return undefined;
    const startedAtMs = Date.parse(pod.metadata.creationTimestamp);
    const begun = this.#starting.get(noted.key);
    const ours = begun?.run === noted.run && begun.podCreatedAtMs === noted.podCreatedAtMs;
    const record = ours ? begun : newRecord(noted, startedAtMs, 0);
    writeRecord(this.#folder(noted.key), record);
    return this.#know(record);
  }

  #gone(uid: string, run: PodRun): void {
    this.#byUid.delete(uid);
    void run.vanished();
  }

  #noted(object: unknown): void {
    const event = readEvent(object);
    const run = event && this.#byUid.get(event.uid);
    if (run) run.note(event.id, event.note);
  }

  async #within(ended: Promise<void>, limitMs: number, pod: Pod): Promise<void> {
    const waiting = new AbortController();
    const late = this.#options.clock.sleep(limitMs, waiting.signal).then(() => {
      const { name } = pod.metadata;
      const node = pod.spec.nodeName ?? 'its node';
      throw new RuntimeUnavailable(`${node} does not say that Pod ${name} is gone`);
    });
    late.catch(() => undefined);
    await Promise.race([ended, late]).finally(() => waiting.abort());
  }
}
