import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, readFileSync, writeSync } from 'node:fs';
import { errorCode } from '../../error-code.ts';
import type { RunEnd } from '../../runtime.ts';
import type { LaunchOrder, RunRecord } from '../files.ts';
import { podFiles, writeRecord } from '../files.ts';
import { nameProcess } from '../proc.ts';
import { LogFiles } from '../../output/log-files.ts';

/**
 * Stands beside one run of one pod, in a session of its own, so that the program, its output and
 * its exit code outlive the controller. Started with the pod's folder as argument and a
 * `LaunchOrder` on stdin; says on stdout when the run was launched or has failed to.
 *
 * SIGTERM asks the program to end and kills its group after the grace; SIGUSR2 kills it now.
 */

// Lines that explain a failure; more belongs into the log.
const tailBytesMax = 2_000;
const tailLinesMax = 10;
// A grandchild that left the group may hold the pipes open for ever.
const outputAfterExitMs = 500;

const folder = process.argv[2] ?? '';
const stopping = { asked: false };
let program: ChildProcess | undefined;
let graceMs = 0;

process.on('SIGTERM', () => {
  stopping.asked = true;
  signalGroup('SIGTERM');
  setTimeout(() => signalGroup('SIGKILL'), graceMs).unref();
});
process.on('SIGUSR2', () => {
  stopping.asked = true;
  signalGroup('SIGKILL');
});
process.on('SIGHUP', () => undefined);
process.on('SIGINT', () => undefined);

// Ends with half an order when the controller dies meanwhile: that does not parse, and we end too.
const given: LaunchOrder = JSON.parse(readFileSync(0, 'utf8'));
main(given);

function main(order: LaunchOrder): void {
  graceMs = order.graceMs;
  const child = launch(order);
  if (!child) return;
  program = child;
  child.once('error', (error) => {
    refuse(order, error);
    process.exit();
  });
  if (child.pid === undefined) return;
  // Readable even when it has ended already, because it is reaped no sooner than the next turn.
  const record = { ...order.record, program: nameProcess(child.pid) ?? null };
  writeRecord(folder, record);
  reportLaunch();
  supervise(child, record);
}

function launch(order: LaunchOrder): ChildProcess | undefined {
  process.umask(0o022);
  try {
    return spawn(order.file, [...order.arguments], {
      cwd: podFiles(folder).work,
      env: { ...order.environment },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...order.user,
    });
  } catch (error) {
    refuse(order, error);
    return undefined;
  }
}

function supervise(child: ChildProcess, record: RunRecord): void {
  const log = new LogFiles(folder, Date.now);
  let tail = Buffer.alloc(0);
  const take = (bytes: Buffer): void => {
    log.append(bytes);
    tail = Buffer.concat([tail, bytes]).subarray(-tailBytesMax);
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  child.once('exit', (exitCode, signal) => {
    const by = stopping.asked ? 'stopped' : 'itself';
    const finish = (): never => {
      const message = lastLines(tail.toString());
      end(record, { by, exitCode, signal, message, endedAtMs: Date.now() });
      return process.exit();
    };
    signalGroup('SIGKILL');
    child.once('close', finish);
    setTimeout(finish, outputAfterExitMs);
  });
}

/** Errors of the machine pass; a program that is not there stays away. */
function refuse(order: LaunchOrder, error: unknown): void {
  const code = errorCode(error);
  const passing = ['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE'].includes(code);
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'no such program',
    EACCES: 'it may not be executed by the user of pods',
  };
  const reason = reasons[code] ?? String(error);
  end(order.record, {
    by: passing ? 'itself' : 'refused',
    exitCode: null,
    signal: null,
    message: `cannot start ${order.file}: ${reason}`,
    endedAtMs: Date.now(),
  });
  reportLaunch();
}

function end(record: RunRecord, how: RunEnd): void {
  writeRecord(folder, { ...record, end: how });
}

function reportLaunch(): void {
  try {
    writeSync(1, '\n');
    closeSync(1);
  } catch {
    // The controller is gone; the next one reads the record.
  }
}

function signalGroup(signal: NodeJS.Signals): void {
  if (program?.pid === undefined) return;
  try {
    process.kill(-program.pid, signal);
  } catch {
    // The group is gone, or (EPERM) holds only what has gained rights we lack.
  }
}

const lastLines = (text: string): string =>
  text.trimEnd().split('\n').slice(-tailLinesMax).join('\n');
