import { readdirSync, readFileSync } from 'node:fs';

/** The kernel's clock tick as programs see it. */
export const ticksPerSecond = 100;

/** CPU time of a program since it began. */
export interface CpuTime {
  /** By the scheduler's count, in nanoseconds. */
  readonly totalNs: number;
  /** By the clock tick, in ticks of 10 ms: good for the share of user and system only. */
  readonly userTicks: number;
  readonly systemTicks: number;
}

/** A process and all below it. */
export function treeOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const parent = Number(statOf(Number(name))?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const below = (pid: number): number[] => [pid, ...(children.get(pid) ?? []).flatMap(below)];
  return below(root);
}

/** The sum over these processes; a thread that ends takes its time with it. */
export function cpuTime(pids: readonly number[]): CpuTime {
  let [totalNs, userTicks, systemTicks] = [0, 0, 0];
  for (const pid of pids) {
    const stat = statOf(pid);
    if (!stat) throw new Error(`process ${pid} of the gateway under test has ended`);
    userTicks += Number(stat[11]);
    systemTicks += Number(stat[12]);
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      totalNs += Number(read(`/proc/${pid}/task/${task}/schedstat`).split(' ')[0]);
    }
  }
  return { totalNs, userTicks, systemTicks };
}

/** What a core was busy with since the machine began, in ticks of 10 ms. */
export function busyTicks(core: number): number {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(read('/proc/stat'))?.[1] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(' ').map(Number);
  return user + nice + system + irq + softirq;
}

/** Proportional set size of these processes in bytes: pages they share are counted once. */
export function memoryBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + pss(pid), 0);
}

const pss = (pid: number): number =>
  Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) * 1024;

/** The fields after the name, from the state on; undefined when the process has ended. */
function statOf(pid: number): string[] | undefined {
  const stat = read(`/proc/${pid}/stat`);
  return stat === '' ? undefined : stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // It ended while we looked.
  }
}
