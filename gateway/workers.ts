import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { CancelOwner } from '#contracts/cancels.ts';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { WorkerId } from './admin/totals.ts';
import type { WorkerState } from './admin/worker-metrics.ts';
import type { Report } from './observe/report.ts';
import { limits } from './limits.ts';
import type { Handle } from './listeners.ts';
import type { CancelQuestion, FromWorker, ToWorker } from './messages.ts';

const program = join(import.meta.dirname, 'worker', 'main.ts');
const respawnMs = 100;
const respawnMsMax = 5_000;
const stableMs = 10_000; // a worker that lived this long was not killed by its start
const killAfterMs = limits.drainMs + 1_000;

interface Slot {
  readonly number: number;
  readonly handles: readonly Handle[];
  cancelStart: (() => void) | undefined;
  child: ChildProcess | undefined;
  /** Asked to end by somebody else; they serve until their replacement does. */
  readonly leaving: Set<ChildProcess>;
  step: number;
  ready: boolean;
  failures: number;
  starts: number;
}

export interface WorkersPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** What a new worker is told first, in order. */
  greeting(number: number): Iterable<ToWorker>;
  /** A worker wants the certificate of a host; the answer goes to it alone. */
  wanted(host: string, answer: (message: ToWorker) => void): void;
  /** A worker is asked for a challenge it does not know. */
  challengeWanted(id: string, answer: (message: ToWorker) => void): void;
  /** A certificate that a worker cannot use. */
  unusable(host: string, reason: string): void;
  /** A client cancels a query: finds the pod whose session it is, and answers that worker alone. */
  cancelWanted(question: CancelQuestion, answer: (message: ToWorker) => void): void;
  /** What a worker knows of a key that was asked for. */
  cancelOwners(question: number, owners: readonly CancelOwner[]): void;
  /** What a worker has counted since its report before. */
  reported(worker: WorkerId, report: Report): void;
  /** A worker process ended. */
  left(worker: WorkerId): void;
  /** A worker became ready, took a step, or went. */
  changed(): void;
}

/** One process per slot, replaced when it ends; the sockets it serves stay with us. */
export class Workers {
  readonly #ports: WorkersPorts;
  readonly #slots: readonly Slot[];
  #stopping = false;

  constructor(handles: readonly (readonly Handle[])[], ports: WorkersPorts) {
    this.#ports = ports;
    this.#slots = handles.map((own, number) => ({
      number,
      handles: own,
      cancelStart: undefined,
      child: undefined,
      leaving: new Set(),
      step: -1,
      ready: false,
      failures: 0,
      starts: 0,
    }));
    for (const slot of this.#slots) this.#start(slot);
  }

  /** The step (`routeMessages`) that every worker has taken, or -1 while one does not serve yet. */
  get step(): number {
    return Math.min(...this.#slots.map(({ ready, step }) => (ready ? step : -1)));
  }

  get ready(): boolean {
    return this.#slots.every((slot) => slot.ready);
  }

  /** Which worker does not serve, and what is done about it; undefined: all do. */
  get problem(): string | undefined {
    const away = this.#slots.filter((slot) => !slot.ready);
    if (away.length === 0) return undefined;
    const said = away.map(({ number, child, failures }) => {
      const what = child ? 'is starting' : 'ended and is started again soon';
      return `worker ${number} ${what}${failures > 1 ? `, after ${failures} failures in a row` : ''}`;
    });
    return `${away.length} of ${this.#slots.length} workers do not serve: ${said.join('; ')}`;
  }

  get states(): readonly WorkerState[] {
    return this.#slots.map(({ number, ready, starts }) => {
      return { number, ready, restarts: Math.max(0, starts - 1) };
    });
  }

  get pids(): readonly number[] {
    return this.#slots.flatMap(({ child }) => child?.pid ?? []);
  }

  /** To how many workers it goes. */
  broadcast(message: ToWorker): number {
    const children = this.#slots.flatMap(childrenOf);
    for (const child of children) send(child, message);
    return children.length;
  }

  /** Drains all workers and ends those that do not by themselves. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const { cancelStart } of this.#slots) cancelStart?.();
    await Promise.all(
      this.#slots.flatMap(childrenOf).map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const gone = new Promise((resolve) => child.once('exit', resolve));
        send(child, { kind: 'drain' });
        const cancel = this.#ports.clock.after(killAfterMs, () => child.kill('SIGKILL'));
        await gone;
        cancel();
      }),
    );
  }

  #start(slot: Slot): void {
    const [https, http] = slot.handles;
    if (!https || !http) throw new Error('a worker needs both sockets');
    const startedMs = this.#ports.clock.monotonicMs();
    let child: ChildProcess;
    try {
      child = spawn(process.execPath, [program], {
        env: {},
        stdio: ['ignore', 'inherit', 'inherit', 'ipc', https.fd, http.fd],
        serialization: 'advanced',
      });
    } catch (error) {
      // Some reasons are thrown, others emitted: no memory for another process is of the first kind.
      this.#ports.log.error({ worker: slot.number, error: String(error) }, 'worker not started');
      this.#startAgain(slot, startedMs);
      return;
    }
    slot.child = child;
    slot.step = -1;
    slot.starts += 1;
    child.on('message', (message: FromWorker) => this.#message(slot, child, message));
    child.on('error', (error) => {
      const fields = { worker: slot.number, error: String(error) };
      this.#ports.log.error(fields, 'worker cannot be reached');
      // A process that could not even be started has no 'exit'.
      if (child.pid === undefined) this.#ended(slot, child, startedMs);
    });
    child.on('exit', (code, signal) => {
      const fields = { worker: slot.number, code, signal };
      if (!this.#stopping) this.#ports.log.error(fields, 'worker ended, starting another');
      this.#ended(slot, child, startedMs);
    });
    for (const message of this.#ports.greeting(slot.number)) send(child, message);
  }

  /** The same socket serves on: what waits in its queue is not lost. */
  #replace(slot: Slot, child: ChildProcess): void {
    if (this.#stopping || slot.child !== child) return;
    slot.leaving.add(child);
    slot.ready = false;
    this.#start(slot);
  }

  #ended(slot: Slot, child: ChildProcess, startedMs: number): void {
    slot.leaving.delete(child);
    this.#ports.left(idOf(slot, child));
    if (slot.child === child) this.#startAgain(slot, startedMs);
  }

  #startAgain(slot: Slot, startedMs: number): void {
    slot.child = undefined;
    slot.ready = false;
    if (this.#stopping) return;
    const stable = this.#ports.clock.monotonicMs() - startedMs > stableMs;
    slot.failures = stable ? 0 : slot.failures + 1;
    const waitMs = stable ? 0 : Math.min(respawnMs * 2 ** slot.failures, respawnMsMax);
    slot.cancelStart = this.#ports.clock.after(waitMs, () => this.#start(slot));
  }

  #message(slot: Slot, child: ChildProcess, message: FromWorker): void {
    switch (message.kind) {
      case 'certificate-wanted':
        this.#ports.wanted(message.host, (answer) => send(child, answer));
        return;
      case 'challenge-wanted':
        this.#ports.challengeWanted(message.id, (answer) => send(child, answer));
        return;
      case 'certificate-unusable':
        this.#ports.unusable(message.host, message.reason);
        return;
      case 'report':
        this.#ports.reported(idOf(slot, child), message.report);
        return;
      case 'cancel-wanted':
        this.#ports.cancelWanted(message, (answer) => send(child, answer));
        return;
      case 'cancel-owners':
        this.#ports.cancelOwners(message.question, message.owners);
        return;
      case 'fault':
        this.#ports.log.error({ worker: slot.number, error: message.error }, 'worker met a fault');
        return;
      case 'leaving':
        this.#replace(slot, child);
        break;
      case 'ready':
        for (const old of slot.leaving) send(old, { kind: 'drain' });
        slot.ready ||= slot.child === child;
        break;
      case 'applied':
        if (slot.child === child) slot.step = message.step;
    }
    this.#ports.changed();
  }
}

const idOf = ({ number }: Slot, { pid = 0 }: ChildProcess): WorkerId => ({ number, pid });

const childrenOf = ({ child, leaving }: Slot): ChildProcess[] =>
  child ? [child, ...leaving] : [...leaving];

/** A worker that is just ending is told nothing; its replacement is told everything. */
function send(child: ChildProcess, message: ToWorker): void {
  if (child.connected) child.send(message, () => undefined);
}
