import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import type { Clock } from '#contracts/clock.ts';
import { keepLooking } from '../looks.ts';
import type { NetworkAddress, Observed, RunEnd } from '../runtime.ts';
import type { RunRecord } from './files.ts';
import { readRecord, writeRecord } from './files.ts';
import { isOwnListener } from './listener.ts';
import { listeningHost } from './ports.ts';
import type { ProcessName } from './proc.ts';
import { endGroup, isAlive, sendSignal } from './proc.ts';

// A shim that is not our child tells nobody when it ends.
const adoptedLookMs = 500;
// From SIGKILL for the program's group to the end of the shim's last writes.
const shimEndMs = 3_000;

/** One run whose shim lives or lived: watches it, and ends it. */
export class SupervisedRun {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #changed: () => void;
  readonly #unwatched = new AbortController();
  readonly #ended: Promise<void>;
  readonly #hosts = new Map<string, string>();
  #record: RunRecord;

  /** `shim` is undefined for a run that another controller has started. */
  constructor(
    folder: string,
    record: RunRecord,
    shim: ChildProcess | undefined,
    { clock, changed }: { readonly clock: Clock; readonly changed: () => void },
  ) {
    this.#folder = folder;
    this.#record = record;
    this.#clock = clock;
    this.#changed = changed;
    this.#ended = record.end ? Promise.resolve() : this.#untilEnd(shim);
  }

  get run(): number {
    return this.#record.run;
  }

  /** Whether this is the run that the record is of. */
  is({ run, podCreatedAtMs }: Pick<RunRecord, 'run' | 'podCreatedAtMs'>): boolean {
    return this.#record.run === run && this.#record.podCreatedAtMs === podCreatedAtMs;
  }

  get alive(): boolean {
    return this.#record.end === null;
  }

  get ports(): readonly number[] {
    return this.alive ? Object.values(this.#record.ports) : [];
  }

  observe(): Observed {
    const { run, podCreatedAtMs, startedAtMs, ports, program, end } = this.#record;
    const addresses = Object.entries(ports).map(([network, port]): [string, NetworkAddress] => {
      const host = this.alive ? this.#hosts.get(network) : undefined;
      return [network, { host: host ?? '127.0.0.1', port, listening: host !== undefined }];
    });
    const phase = end ? 'exited' : program ? 'running' : 'starting';
    const where = Object.fromEntries(addresses);
    return { run, podCreatedAtMs, phase, startedAtMs, addresses: where, end };
  }

  /** Looks once whether the networks listen; true when something changed. */
  async probe(): Promise<boolean> {
    if (!this.alive) return false;
    let changed = false;
    this.#refresh();
    for (const [network, port] of Object.entries(this.#record.ports)) {
      const before = this.#hosts.get(network);
      const host = await this.#listeningHost(port, before);
      if (host === before) continue;
      changed = true;
      if (host === undefined) this.#hosts.delete(network);
      else this.#hosts.set(network, host);
    }
    return changed && this.alive;
  }

  async stop(graceMs: number): Promise<void> {
    const { shim } = this.#record;
    // Once let go of, the run is another controller's, and what we remember of it may be past.
    if (!this.alive || !shim || this.#unwatched.signal.aborted) return;
    signalIfAlive(shim, 'SIGTERM');
    if (await this.#endsWithin(graceMs)) return;
    signalIfAlive(shim, 'SIGUSR2');
    if (await this.#endsWithin(shimEndMs)) return;
    signalIfAlive(shim, 'SIGKILL');
    this.#finish('stopped', 'ended together with its supervisor, which did not answer');
    await this.#ended;
  }

  /** Watches no longer; the run goes on. */
  close(): void {
    this.#unwatched.abort();
  }

  async #listeningHost(port: number, before: string | undefined): Promise<string | undefined> {
    const host = await listeningHost(port);
    const { program } = this.#record;
    if (host === undefined || before !== undefined || !program) return host;
    return isOwnListener(port, program) ? host : undefined;
  }

  async #untilEnd(shim: ChildProcess | undefined): Promise<void> {
    const { signal } = this.#unwatched;
    const unwatched = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    void this.#keepProbing(signal);
    await Promise.race([unwatched, shim ? exitOf(shim) : this.#shimIsGone(signal)]);
    if (signal.aborted) return;
    this.#unwatched.abort();
    this.#finish('itself', 'its supervisor was killed, so the program was ended with it');
    this.#changed();
  }

  async #shimIsGone(signal: AbortSignal): Promise<void> {
    const { shim } = this.#record;
    if (!shim) return;
    while (!signal.aborted && isAlive(shim)) {
      await quietly(this.#clock.sleep(adoptedLookMs, signal));
      this.#refresh();
    }
  }

  /** A run that was adopted in the middle of its launch has no program yet. */
  #refresh(): void {
    if (this.#record.program !== null || !this.alive) return;
    const newest = readRecord(this.#folder);
    if (newest && this.is(newest)) this.#record = newest;
  }

  async #keepProbing(signal: AbortSignal): Promise<void> {
    const networks = Object.keys(this.#record.ports).length;
    if (networks === 0) return;
    await keepLooking(this.#clock, signal, async () => {
      if (await this.probe()) this.#changed();
      return this.#hosts.size === networks;
    });
  }

  /** What the shim wrote last counts; a shim that could not is spoken for. */
  #finish(by: RunEnd['by'], message: string): void {
    const how = { by, message, endedAtMs: this.#clock.nowMs() };
    const newest = readRecord(this.#folder) ?? this.#record;
    // Another controller has launched the next run meanwhile: that one is none of ours to end.
    if (this.is(newest)) this.#record = endOrphan(this.#folder, newest, how);
    else this.#record = { ...this.#record, end: { ...how, exitCode: null, signal: null } };
  }

  async #endsWithin(limitMs: number): Promise<boolean> {
    const waiting = new AbortController();
    const late = quietly(this.#clock.sleep(limitMs, waiting.signal));
    await Promise.race([this.#ended, late]);
    waiting.abort();
    return !this.alive;
  }
}

/** Makes the record of a run whose shim is dead say how it ended; ends what the shim left behind. */
export function endOrphan(
  folder: string,
  record: RunRecord,
  how: Pick<RunEnd, 'by' | 'message' | 'endedAtMs'>,
): RunRecord {
  if (record.end) return record;
  if (record.program) endGroup(record.program);
  const ended = { ...record, end: { ...how, exitCode: null, signal: null } };
  writeRecord(folder, ended);
  return ended;
}

/** Looks again first: the number may have gone to another process. */
function signalIfAlive(shim: ProcessName, signal: NodeJS.Signals): void {
  if (isAlive(shim)) sendSignal(shim.pid, signal);
}

async function exitOf(shim: ChildProcess): Promise<void> {
  if (shim.exitCode === null && shim.signalCode === null) await once(shim, 'exit');
}

/** A sleep that is cut short is over all the same. */
const quietly = (sleep: Promise<void>): Promise<void> => sleep.catch(() => undefined);
