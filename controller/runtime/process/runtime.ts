import type { ChildProcess } from 'node:child_process';
import { chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { LogPiece, LogStart, LogWindow } from '#contracts/logs.ts';
import type { Random } from '#contracts/random.ts';
import { Refused } from '../refused.ts';
import type { Observed, RunEnd, RunSpec, Runtime } from '../runtime.ts';
import { RunInProgress } from '../runtime.ts';
import type { Found } from './adopt.ts';
import { findRuns, settle } from './adopt.ts';
import { LaunchClaim } from './claims.ts';
import { Broadcast } from '../broadcast.ts';
import type { LaunchOrder, RunRecord } from './files.ts';
import { podFiles, readRecord, writeRecord } from './files.ts';
import { launch } from './launch.ts';
import { beginRun } from '../output/begin-run.ts';
import { PodOutputs } from '../output/pod-outputs.ts';
import type { Places } from './places.ts';
import { makeFolder, preparePlaces } from './places.ts';
import { freePorts } from './ports.ts';
import { environmentOf, programOf } from './program.ts';
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
  readonly #outputs: PodOutputs;
  /** Keys that are being launched: their files are ours to write. */
  readonly #launching = new Set<string>();
  readonly #name: string;

  constructor(places: Places, user: PodUser | undefined, ports: ProcessRuntimePorts) {
    this.#places = places;
    this.#user = user;
    this.#ports = ports;
    this.#outputs = new PodOutputs(ports.clock, (key) => this.#folder(key));
    this.#name = ports.random.bytes(16).toString('hex');
  }

  /** Takes over what runs; knows afterwards which of it listens. */
  async adopt(): Promise<void> {
    const found = findRuns(this.#places.pods);
    const there = new Set(found.map(({ key }) => key));
    for (const [key, run] of this.#runs)
      if (!there.has(key) && !this.#launching.has(key)) this.#forget(key, run);
    await Promise.all(found.map((each) => this.#adoptOne(each)));
  }

  async start(spec: RunSpec): Promise<void> {
    const { key } = spec;
    this.#launching.add(key);
    try {
      const folder = this.#folder(key);
      await this.#makeFolders(folder);
      const record = readRecord(folder);
      if (record) await this.#adoptOne({ key, folder, record });
      const before = this.#runs.get(key);
      if (before?.is(spec)) return;
      if (before?.alive) throw new RunInProgress(`run ${before.run} of ${key} is alive`);
      this.#runs.set(key, await this.#launchOnce(spec, folder));
    } finally {
      this.#launching.delete(key);
    }
  }

  async observe(key: string): Promise<Observed | undefined> {
    return this.#runs.get(key)?.observe();
  }

  /** Looks at what other controllers did here as well. */
  async list(): Promise<readonly string[]> {
    await this.adopt();
    return [...this.#runs.keys()];
  }

  async stop(key: string, graceMs: number): Promise<void> {
    await this.#runs.get(key)?.stop(graceMs);
  }

  async remove(key: string): Promise<void> {
    await this.stop(key, 0);
    await rm(this.#folder(key), { recursive: true, force: true });
    this.#forget(key, this.#runs.get(key));
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
    await Promise.all([...this.#runs.values()].map((run) => run.stop(graceMs)));
    this.close();
  }

  close(): void {
    this.#outputs.close();
    for (const run of this.#runs.values()) run.close();
  }

  async #adoptOne(found: Found): Promise<void> {
    const { key, folder, record } = found;
    const known = this.#runs.get(key);
    if (known?.is(record)) return;
    known?.close();
    const run = this.#supervise(key, folder, settle(found, this.#ports.clock.nowMs()));
    this.#runs.set(key, run);
    if (run.alive) this.#ports.log.info({ key, run: record.run }, 'found a running pod');
    await run.probe();
  }

  #forget(key: string, run: SupervisedRun | undefined): void {
    run?.close();
    this.#runs.delete(key);
    this.#outputs.removed(key);
  }

  /** Launches the run unless another controller did, or may have begun to: then it counts as lost. */
  async #launchOnce(spec: RunSpec, folder: string): Promise<SupervisedRun> {
    const claim = new LaunchClaim(folder, spec, this.#name);
    if (!claim.take()) {
      claim.revoke();
      const record = readRecord(folder);
      // It may have launched between our two looks.
      if (record && sameRun(record, spec)) return this.#supervise(spec.key, folder, record);
      return this.#ended(spec, folder, lostLaunch);
    }
    const reserved = await this.#reservePorts(spec.networks.map(({ name }) => name)).catch(
      (error: unknown) => {
        claim.release();
        throw error;
      },
    );
    try {
      if (!claim.held) throw new RunInProgress(`another controller has seen to ${spec.key}`);
      return await this.#launch(spec, folder, reserved);
    } finally {
      for (const port of Object.values(reserved)) this.#reserved.delete(port);
    }
  }

  async #launch(
    spec: RunSpec,
    folder: string,
    ports: Readonly<Record<string, number>>,
  ): Promise<SupervisedRun> {
    const draft = { ...this.#draft(spec), ports };
    const { key } = spec;
    try {
      const order = this.#order(spec, folder, draft);
      await beginRun(folder, { run: spec.run, nowMs: draft.startedAtMs });
      const shim = await launch(folder, order, this.#ports.clock);
      return this.#supervise(key, folder, readRecord(folder) ?? draft, shim);
    } catch (error) {
      return this.#ended(spec, folder, error);
    }
  }

  /** A run that never began, because of this. */
  #ended(spec: RunSpec, folder: string, why: unknown): SupervisedRun {
    const end = failedLaunch(why, this.#ports.clock.nowMs());
    const record = { ...this.#draft(spec), end };
    writeRecord(folder, record);
    return this.#supervise(spec.key, folder, record);
  }

  #draft({ run, podCreatedAtMs }: RunSpec): RunRecord {
    const startedAtMs = this.#ports.clock.nowMs();
    return { run, podCreatedAtMs, startedAtMs, ports: {}, shim: null, program: null, end: null };
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

const lostLaunch = new Error('its controller died, or was stopped, while it launched it');

const sameRun = (
  a: Pick<RunRecord, 'run' | 'podCreatedAtMs'>,
  b: Pick<RunRecord, 'run' | 'podCreatedAtMs'>,
): boolean => a.run === b.run && a.podCreatedAtMs === b.podCreatedAtMs;

function failedLaunch(error: unknown, endedAtMs: number): RunEnd {
  const by = error === lostLaunch ? 'lost' : error instanceof Refused ? 'refused' : 'itself';
  const message = error instanceof Error ? error.message : String(error);
  return { by, exitCode: null, signal: null, message, endedAtMs };
}
