import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { errorCode } from '../error-code.ts';

/** A process of this boot: pids are used again, pid and start time together are not. */
export interface ProcessName {
  readonly pid: number;
  readonly startedAt: string;
}

interface Stat {
  readonly state: string;
  readonly group: number;
  readonly startTicks: number;
}

/** The process that has `pid` now, or undefined when none has. */
export function nameProcess(pid: number): ProcessName | undefined {
  if (process.platform === 'linux') {
    const stat = readStat(pid);
    return stat ? { pid, startedAt: `${bootId()}/${stat.startTicks}` } : undefined;
  }
  const startedAt = startTimeByPs(pid);
  return startedAt === '' ? undefined : { pid, startedAt };
}

/** A zombie is dead: whoever ought to reap it has not come to it yet. */
export function isAlive(name: ProcessName): boolean {
  if (nameProcess(name.pid)?.startedAt !== name.startedAt) return false;
  return process.platform !== 'linux' || readStat(name.pid)?.state !== 'Z';
}

/** Sends a signal to a process, or with a negative pid to a group; one that is gone is fine. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

/**
 * Ends the process group that `leader` leads or led. No number is given away while a group bears
 * it, so when a stranger has the number by now, nothing is left of the old group.
 */
export function endGroup(leader: ProcessName): void {
  if (isAlive(leader)) {
    sendSignal(-leader.pid, 'SIGKILL');
    return;
  }
  const [boot, ticks] = leader.startedAt.split('/');
  if (process.platform !== 'linux' || boot !== bootId() || isTaken(leader)) return;
  for (const pid of allPids()) {
    const stat = readStat(pid);
    if (stat?.group === leader.pid && stat.startTicks >= Number(ticks)) sendSignal(pid, 'SIGKILL');
  }
}

const isTaken = ({ pid, startedAt }: ProcessName): boolean =>
  (nameProcess(pid)?.startedAt ?? startedAt) !== startedAt;

/** Processes that are not older than `first`. Linux only; elsewhere none are known. */
export function processesSince(first: ProcessName): readonly number[] {
  if (process.platform !== 'linux') return [];
  const since = Number(first.startedAt.split('/')[1]);
  return allPids().filter((pid) => (readStat(pid)?.startTicks ?? -1) >= since);
}

function allPids(): number[] {
  return readdirSync('/proc').flatMap((entry) => (/^\d+$/.test(entry) ? [Number(entry)] : []));
}

/** proc_pid_stat(5): the second field holds the program's name, which may hold anything. */
function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [state, , group] = fields;
    return { state: state ?? 'Z', group: Number(group), startTicks: Number(fields[19]) };
  } catch {
    return undefined;
  }
}

/** Start times count from boot, so they mean something only together with it. */
const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();

function startTimeByPs(pid: number): string {
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return '';
  }
}
