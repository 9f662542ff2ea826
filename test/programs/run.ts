import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

/** Programs that are not ours: installed once, run with a bound, and named when they cannot be had. */

/** Why a program cannot be had on this machine; a test that needs it is skipped by name. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string;
  readonly timeoutMs?: number;
}

/** Runs a program to its end and collects what it prints; it is killed after `timeoutMs` (60 s). */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const [command = '', ...rest] = argv;
  const child = spawn(command, rest, {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], LANG: 'C.UTF-8', ...options.env },
    cwd: options.cwd,
    timeout: options.timeoutMs ?? 60_000,
    killSignal: 'SIGKILL',
  });
  // A program that does not read its input is not at fault.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const [out, err, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  return { code, out, err };
}

/** As `run`, for steps of an installation: whatever keeps it from ending well is `Unavailable`. */
export async function install(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const name = argv.slice(0, 3).join(' ');
  let finished: Finished;
  try {
    // Package managers have their settings (mirrors, certificates) in the environment.
    const env = { ...process.env, ...options.env };
    finished = await run(argv, { timeoutMs: 300_000, ...options, env });
  } catch (error) {
    throw new Unavailable(`${name}: ${String(error)}`);
  }
  if (finished.code === 0) return finished.out;
  const words = `${finished.err}\n${finished.out}`.trim().slice(-400);
  throw new Unavailable(`${name} ended with ${finished.code ?? 'a timeout'}: ${words}`);
}

/**
 * What `make` gives, or `undefined` with a loud line that names what is skipped and why. Errors
 * other than `Unavailable` are defects and pass through.
 */
export async function available<T>(what: string, make: () => Promise<T>): Promise<T | undefined> {
  try {
    return await make();
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    process.stderr.write(`\n*** SKIPPED: ${what}, because ${error.message} ***\n\n`);
    return undefined;
  }
}
