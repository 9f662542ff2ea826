import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { LogPiece, LogStart, LogWindow } from '#contracts/logs.ts';
import type { Random } from '#contracts/random.ts';
import type { Observed, RunEnd, RunSpec, Runtime } from '../runtime.ts';
import { RunInProgress } from '../runtime.ts';
import { findRuns } from './adopt.ts';
import { Broadcast } from '../broadcast.ts';
import type { LaunchOrder, RunRecord } from './files.ts';
import { podFiles, readRecord, writeRecord } from './files.ts';
import { launch } from './launch.ts';
import { followOutput } from '../output/follow.ts';
import { takeSnapshot } from '../output/snapshot.ts';
import type { Places } from './places.ts';
import { makeFolder, preparePlaces } from './places.ts';
import { freePorts } from './ports.ts';
import { environmentOf, programOf, Refused } from './program.ts';
import { SupervisedRun } from './supervised-run.ts';
import type { PodUser } from './user.ts';
import { findUser } from './user.ts';

/** When a shim is told to end and its controller dies before it says how long that may take. */
const orphanGraceMs = 30_000;
/** What a shim needs after the grace to kill, note the end and leave. */
const stopOverheadMs = 500;

export interface ProcessRuntimePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/**
 * Runs pods as processes of this machine, for demos, tests and machines without an engine. Finds
 * the runs that an earlier controller started in `dataDir`. `user` is whom pods run as when we are
 * root; throws `UnknownUser`.
 */
export async function createProcessRuntime({
  dataDir,
  user,
  ...ports
}: ProcessRuntimePorts & {
  readonly dataDir: string;
  readonly user: string | undefined;
}): Promise<Runtime> {
  const podUser = await findUser(user);
  const places = await preparePlaces(dataDir, podUser, ports.log);
  const runtime = new ProcessRuntime(places, podUser, ports);
  await runtime.adopt();
  return runtime;
}

class ProcessRuntime implements Runtime {
  readonly #places: Places;
  readonly #user: PodUser | undefined;
  readonly #ports: ProcessRuntimePorts;
  readonly #runs = new Map<string, SupervisedRun>();
  readonly #reserved = new Set<number>();
  readonly #events = new Broadcast();
  readonly #removals = new EventEmitter().setMaxListeners(0);
  readonly #closed = new AbortController();

  constructor(places: Places, user: PodUser | undefined, ports: ProcessRuntimePorts) {
    this.#places = places;
    this.#user = user;
    this.#ports = ports;
  }

  /** Takes over what runs; knows afterwards which of it listens. */
  async adopt(): Promise<void> {
    for (const { key, folder, record } of findRuns(this.#places.pods, this.#ports.clock.nowMs())) {
      this.#runs.set(key, this.#supervise(key, folder, record));
      if (!record.end) this.#ports.log.info({ key, run: record.run }, 'found a running pod');
    }
    await Promise.all([...this.#runs.values()].map((run) => run.probe()));
  }

  async start(spec: RunSpec): Promise<void> {
    const { key } = spec;
    const before = this.#runs.get(key);
    if (before?.run === spec.run) return;
    if (before?.alive) throw new RunInProgress(`run ${before.run} of ${key} is alive`);
    const folder = this.#folder(key);
    await this.#makeFolders(folder);
    const reserved = await this.#reservePorts(spec.networks.map(({ name }) => name));
    try {
      const run = await this.#launch(spec, folder, reserved);
      this.#runs.set(key, run);
    } finally {
      for (const port of Object.values(reserved)) this.#reserved.delete(port);
    }
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
    this.#removals.emit(key);
    await rm(this.#folder(key), { recursive: true, force: true });
    this.#runs.delete(key);
  }

  async logs(key: string, window: LogWindow = {}): Promise<string> {
    await using kept = await takeSnapshot(this.#folder(key));
    return (await kept.read(await kept.startOf(window), kept.end)).toString();
  }

  async *followLogs(key: string, start: LogStart, signal: AbortSignal): AsyncGenerator<LogPiece> {
    const { clock } = this.#ports;
    const removal = new AbortController();
    const removed = (): void => removal.abort();
    this.#removals.on(key, removed);
    const ended = AbortSignal.any([signal, this.#closed.signal]);
    try {
      const terms = { clock, signal: ended, removed: removal.signal };
      yield* followOutput(this.#folder(key), start, terms);
    } finally {
      this.#removals.off(key, removed);
    }
  }

  events(signal: AbortSignal): AsyncIterable<string> {
    return this.#events.receive(signal);
  }

  async stopAll(deadlineMs: number): Promise<void> {
    const graceMs = Math.max(0, deadlineMs - stopOverheadMs);
    await Promise.all([...this.#runs.values()].map((run) => run.stop(graceMs)));
    this.close();
  }

  close(): void {
    this.#closed.abort();
    for (const run of this.#runs.values()) run.close();
  }

  async #launch(
    spec: RunSpec,
    folder: string,
    ports: Readonly<Record<string, number>>,
  ): Promise<SupervisedRun> {
    const { key, run, podCreatedAtMs } = spec;
    const startedAtMs = this.#ports.clock.nowMs();
    const end = null;
    const draft = { run, podCreatedAtMs, startedAtMs, ports, shim: null, program: null, end };
    try {
      const shim = await launch(folder, this.#order(spec, folder, draft), this.#ports.clock);
      return this.#supervise(key, folder, readRecord(folder) ?? draft, shim);
    } catch (error) {
      const record = { ...draft, end: failedLaunch(error, this.#ports.clock.nowMs()) };
      writeRecord(folder, record);
      return this.#supervise(key, folder, record);
    }
  }

  #order(spec: RunSpec, folder: string, record: RunRecord): LaunchOrder {
    const environment = environmentOf(spec, podFiles(folder).work, record.ports);
    const program = programOf(spec, this.#places, environment);
    const user = this.#user ? { uid: this.#user.uid, gid: this.#user.gid } : null;
    return { record, ...program, environment, user, graceMs: orphanGraceMs };
  }

  #supervise(key: string, folder: string, record: RunRecord, shim?: ChildProcess): SupervisedRun {
    const changed = (): void => this.#events.send(key);
    return new SupervisedRun(folder, record, shim, { clock: this.#ports.clock, changed });
  }

  async #makeFolders(folder: string): Promise<void> {
    const { work } = podFiles(folder);
    await makeFolder(join(folder, '..'));
    await makeFolder(folder);
    await mkdir(work, { recursive: true, mode: 0o700 });
    if (this.#user) await chown(work, this.#user.uid, this.#user.gid);
  }

  /** Ports of runs that have not bound theirs yet are taken all the same. */
  async #reservePorts(networks: readonly string[]): Promise<Record<string, number>> {
    const taken = new Set([...this.#reserved, ...[...this.#runs.values()].flatMap((r) => r.ports)]);
    const found = await freePorts(networks.length, taken, this.#ports.random);
    for (const port of found) this.#reserved.add(port);
    return Object.fromEntries(networks.map((network, i) => [network, found[i] ?? 0]));
  }

  #folder(key: string): string {
    return join(this.#places.pods, key);
  }
}

function failedLaunch(error: unknown, endedAtMs: number): RunEnd {
  const by = error instanceof Refused ? 'refused' : 'itself';
  const message = error instanceof Error ? error.message : String(error);
  return { by, exitCode: null, signal: null, message, endedAtMs };
}
