import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Clock } from '#contracts/clock.ts';
import type { Member } from './plan.ts';

const againMs = 500;
/** A program that is asked to end has so long until it is killed. */
const stopMs = 12_000;

interface Slot {
  readonly member: Member;
  child: ChildProcess | undefined;
  /** Not to be started again when it ends. */
  held: boolean;
  cancel: (() => void) | undefined;
}

/** Tells of one line that a process wrote, or of what became of it. */
export type Tell = (name: string, line: string) => void;

/** Keeps processes running: one that ends is started again. */
export class Supervisor {
  readonly #clock: Clock;
  readonly #tell: Tell;
  readonly #slots = new Map<string, Slot>();
  #stopping = false;

  constructor(members: readonly Member[], clock: Clock, tell: Tell) {
    this.#clock = clock;
    this.#tell = tell;
    for (const member of members)
      this.#slots.set(member.name, { member, child: undefined, held: true, cancel: undefined });
  }

  get names(): readonly string[] {
    return [...this.#slots.keys()];
  }

  /** Starts it, and again whenever it ends. */
  start(name: string): void {
    const slot = this.#slot(name);
    slot.held = false;
    this.#spawn(slot);
  }

  /** The process id; undefined while it does not run. */
  pid(name: string): number | undefined {
    return this.#slot(name).child?.pid;
  }

  /** A signal to it; it is started again if that ends it. */
  signal(name: string, signal: NodeJS.Signals): void {
    this.#slot(name).child?.kill(signal);
  }

  /** Ends it by this signal, until `start`; resolves when it is gone. */
  async end(name: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const slot = this.#slot(name);
    slot.held = true;
    slot.cancel?.();
    slot.cancel = undefined;
    const { child } = slot;
    if (!child) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    const cancel = this.#clock.after(stopMs, () => child.kill('SIGKILL'));
    await ended;
    cancel();
  }

  /** Ends all: first our programs, then what they need. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const servers = this.names.filter((name) => !name.includes('-'));
    const programs = this.names.filter((name) => name.includes('-'));
    await Promise.all(programs.map((name) => this.end(name)));
    await Promise.all(servers.map((name) => this.end(name)));
  }

  #spawn(slot: Slot): void {
    if (slot.child || slot.held || this.#stopping) return;
    const { name, argv, environment } = slot.member;
    const [program = '', ...rest] = argv;
    // In a group of its own: Ctrl-C comes to us, and we end them in order.
    const child = spawn(program, rest, {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    slot.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      let begun = '';
      stream.on('data', (chunk: Buffer) => {
        const lines = (begun + String(chunk)).split('\n');
        begun = lines.pop() ?? '';
        for (const line of lines) this.#tell(name, line);
      });
    }
    child.once('error', (error) => this.#tell(name, `cannot be started: ${error.message}`));
    const over = (): void => {
      if (slot.child !== child) return;
      slot.child = undefined;
      if (slot.held || this.#stopping) return;
      this.#tell(name, `ended (${child.signalCode ?? child.exitCode ?? 'not started'}); again`);
      slot.cancel = this.#clock.after(againMs, () => this.#spawn(slot));
    };
    child.once('exit', over);
    child.once('error', over);
  }

  #slot(name: string): Slot {
    const slot = this.#slots.get(name);
    if (!slot) throw new Error(`there is no ${name}`);
    return slot;
  }
}
