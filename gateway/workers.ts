import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import { limits } from './limits.ts';
import type { Handle } from './listeners.ts';
import type { FromWorker, ToWorker } from './messages.ts';

const program = join(import.meta.dirname, 'worker', 'main.ts');
const respawnMs = 100;
const respawnMsMax = 5_000;
const stableMs = 10_000; // a worker that lived this long was not killed by its start
const killAfterMs = limits.drainMs + 1_000;

interface Slot {
  readonly handles: readonly Handle[];
  child: ChildProcess | undefined;
  revision: number;
  ready: boolean;
  failures: number;
}

export interface WorkersPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** What a new worker is told first, in order. */
  greeting(number: number): readonly ToWorker[];
  /** A worker wants the certificate of a host; the answer goes to it alone. */
  wanted(host: string, answer: (message: ToWorker) => void): void;
  /** A worker became ready, applied a revision, or went. */
  changed(): void;
}

/** One process per slot, replaced when it ends; the sockets it serves stay with us. */
export class Workers {
  readonly #ports: WorkersPorts;
  readonly #slots: readonly Slot[];
  #stopping = false;

  constructor(handles: readonly (readonly Handle[])[], ports: WorkersPorts) {
    this.#ports = ports;
    this.#slots = handles.map((own) => ({
      handles: own,
      child: undefined,
      revision: -1,
      ready: false,
      failures: 0,
    }));
    for (const [number, slot] of this.#slots.entries()) this.#start(number, slot);
  }

  /** The revision that every worker applies, or -1 while one does not serve yet. */
  get revision(): number {
    return Math.min(...this.#slots.map(({ ready, revision }) => (ready ? revision : -1)));
  }

  get ready(): boolean {
    return this.#slots.every((slot) => slot.ready);
  }

  get pids(): readonly number[] {
    return this.#slots.flatMap(({ child }) => child?.pid ?? []);
  }

  broadcast(message: ToWorker): void {
    for (const slot of this.#slots) if (slot.child) send(slot.child, message);
  }

  /** Drains all workers and ends those that do not by themselves. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(
      this.#slots.map(async ({ child }) => {
        if (!child || child.exitCode !== null || child.signalCode !== null) return;
        const gone = new Promise((resolve) => child.once('exit', resolve));
        send(child, { kind: 'drain' });
        const cancel = this.#ports.clock.after(killAfterMs, () => child.kill('SIGKILL'));
        await gone;
        cancel();
      }),
    );
  }

  #start(number: number, slot: Slot): void {
    const [https, http] = slot.handles;
    if (!https || !http) throw new Error('a worker needs both sockets');
    const child = spawn(process.execPath, [program], {
      env: {},
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', https.fd, http.fd],
      serialization: 'advanced',
    });
    const startedMs = this.#ports.clock.monotonicMs();
    slot.child = child;
    slot.revision = -1;
    child.on('message', (message: FromWorker) => this.#message(slot, child, message));
    child.on('error', (error) => {
      this.#ports.log.error({ worker: number, error: String(error) }, 'worker cannot be reached');
    });
    child.on('exit', (code, signal) => {
      slot.child = undefined;
      slot.ready = false;
      if (this.#stopping) return;
      this.#ports.log.error({ worker: number, code, signal }, 'worker ended, starting another');
      const stable = this.#ports.clock.monotonicMs() - startedMs > stableMs;
      slot.failures = stable ? 0 : slot.failures + 1;
      const waitMs = Math.min(respawnMs * 2 ** slot.failures, respawnMsMax);
      this.#ports.clock.after(stable ? 0 : waitMs, () => {
        if (!this.#stopping) this.#start(number, slot);
      });
    });
    for (const message of this.#ports.greeting(number)) send(child, message);
  }

  #message(slot: Slot, child: ChildProcess, message: FromWorker): void {
    if (message.kind === 'certificate-wanted') {
      this.#ports.wanted(message.host, (answer) => send(child, answer));
      return;
    }
    if (message.kind === 'ready') slot.ready = true;
    else slot.revision = message.revision;
    this.#ports.changed();
  }
}

/** A worker that is just ending is told nothing; its replacement is told everything. */
function send(child: ChildProcess, message: ToWorker): void {
  if (child.connected) child.send(message, () => undefined);
}
