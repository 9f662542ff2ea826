import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { systemClock } from '#adapters/system/clock.ts';

const stopMs = 3_000; // then a program is killed with all it started

/** Where the gateway or its peer runs, and where everything else does. */
export const cores = { measured: 0, rest: 1 } as const;

export interface StartOptions {
  readonly core: number;
  /** Of the file in the run's folder that keeps what the program prints. */
  readonly name: string;
  /** A channel for messages to a Node program. */
  readonly ipc?: boolean;
}

/** Every program of a run: pinned to a core, in a group of its own, and ended with the run. */
export class Processes {
  readonly #folder: string;
  readonly #running = new Set<ChildProcess>();
  readonly #atExit = (): void => {
    for (const child of this.#running) killGroup(child, 'SIGKILL');
  };

  /** `folder` takes what the programs print. */
  constructor(folder: string) {
    this.#folder = folder;
    // Whatever ends the runner; the kernel sees to the rest when that is SIGKILL.
    process.on('exit', this.#atExit);
  }

  start(argv: readonly string[], { core, name, ipc = false }: StartOptions): ChildProcess {
    const log = openSync(join(this.#folder, `${name}.log`), 'a');
    const [command, ...rest] = pinned(argv, core);
    const stdio = ipc ? (['ignore', log, log, 'ipc'] as const) : (['ignore', log, log] as const);
    const child = spawn(command, rest, { stdio: [...stdio], detached: true });
    closeSync(log);
    this.#keep(child);
    return child;
  }

  /** Runs a program to its end and returns what it printed; throws unless it ends well in time. */
  async output(argv: readonly string[], core: number, timeoutMs: number): Promise<string> {
    const [command, ...rest] = pinned(argv, core);
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#keep(child);
    const cancel = systemClock.after(timeoutMs, () => killGroup(child, 'SIGKILL'));
    const [out, err] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]);
    cancel();
    if (child.exitCode === 0) return out;
    const words = `${err}\n${out}`.trim().slice(-800);
    throw new Error(`${argv.join(' ')} ended with ${child.exitCode ?? child.signalCode}: ${words}`);
  }

  /** What a program that was started has printed. */
  log(name: string): string {
    return readFileSync(join(this.#folder, `${name}.log`), 'utf8');
  }

  async stop(child: ChildProcess): Promise<void> {
    if (!this.#running.has(child)) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const cancel = systemClock.after(stopMs, () => killGroup(child, 'SIGKILL'));
    await gone;
    cancel();
    killGroup(child, 'SIGKILL');
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#running].map(async (child) => this.stop(child)));
    process.off('exit', this.#atExit);
  }

  #keep(child: ChildProcess): void {
    this.#running.add(child);
    child.on('error', () => this.#running.delete(child));
    child.on('exit', () => this.#running.delete(child));
  }
}

/** Ends with its starter, even one that is killed. */
const pinned = (argv: readonly string[], core: number): [string, ...string[]] => [
  'setpriv',
  '--pdeathsig',
  'TERM',
  'taskset',
  '-c',
  String(core),
  ...argv,
];

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // All of it has ended.
  }
}
