import { systemClock } from '#adapters/system/clock.ts';
import type { Group } from '../settings/group.ts';
import { secretNames } from '../settings/names.ts';
import type { Choices } from '../settings/read.ts';
import { readSettings } from '../settings/read.ts';
import { startProblem } from './start-problem.ts';

// Supervisors grant 10 s between SIGTERM and SIGKILL.
const stopDeadlineMs = 9_500;

/** What a program's start puts what it started on, and how it hears that it shall end. */
export interface Life {
  readonly stack: AsyncDisposableStack;
  /** Aborts when the program shall end. */
  readonly signal: AbortSignal;
}

/**
 * The life of a program: reads the settings of `groups`, starts it, and on a signal ends what was
 * started, the newest first. Exits 1 with one line when it cannot start. Secrets are taken out of
 * `environment`, so that nothing that is started inherits them.
 */
export async function runProgram<Groups extends Readonly<Record<string, Group>>>(
  environment: NodeJS.ProcessEnv,
  groups: Groups,
  start: (settings: Choices<Groups>, life: Life) => Promise<void>,
): Promise<void> {
  const stack = new AsyncDisposableStack();
  const ending = new AbortController();
  /** Once: a second signal (Ctrl-C reaches us and is passed on by npm as well) must not cut it short. */
  const stop = (code: number): void => {
    if (ending.signal.aborted) return;
    ending.abort();
    systemClock.after(stopDeadlineMs, () => process.exit(1));
    stack.disposeAsync().then(
      () => process.exit(code),
      (error: unknown) => fail(String(error)),
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop(0));
  try {
    const settings = readSettings(groups, environment, { isRoot: process.getuid?.() === 0 });
    for (const name of secretNames) delete environment[name];
    await start(settings, { stack, signal: ending.signal });
  } catch (error) {
    // What was cut short by a signal is no failure.
    if (ending.signal.aborted) return;
    const stackTrace = error instanceof Error ? error.stack : String(error);
    process.stderr.write(`podgate: ${startProblem(error, environment) ?? stackTrace}\n`);
    stop(1);
  }
}

function fail(message: string): void {
  process.stderr.write(`podgate: ${message}\n`);
  process.exit(1);
}
