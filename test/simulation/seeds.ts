import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { PlantName } from './plants.ts';
import type { Outcome } from './simulation.ts';

const program = join(import.meta.dirname, 'main.ts');

export interface Seeds {
  readonly first: number;
  readonly count: number;
  readonly plant: PlantName;
  /** Called for every seed that broke a rule; when it returns true no more seeds are run. */
  broke(this: void, outcome: Outcome): boolean;
}

/** Runs seeds on all cores; returns how many ran. Throws when a process fails. */
export async function runSeeds({ first, count, plant, broke }: Seeds): Promise<number> {
  const cores = Math.min(availableParallelism(), count);
  const enough = new AbortController();
  let ran = 0;
  const heard = (line: string): void => {
    const outcome: Outcome = JSON.parse(line);
    ran += 1;
    if (outcome.violations.length > 0 && broke(outcome)) enough.abort();
  };
  const runOne = (core: number): Promise<void> => {
    const own = Math.ceil((count - core) / cores);
    const argv = ['--first', first + core, '--step', cores, '--count', own, '--plant', plant];
    return runProgram(argv.map(String), heard, enough.signal);
  };
  await Promise.all(Array.from({ length: cores }, (_, core) => runOne(core)));
  return ran;
}

function runProgram(
  argv: readonly string[],
  heard: (line: string) => void,
  enough: AbortSignal,
): Promise<void> {
  const child = spawn(process.execPath, [program, ...argv], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const end = (): boolean => child.kill();
  enough.addEventListener('abort', end);
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (!enough.aborted) heard(line);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0 || enough.aborted) resolve();
      else reject(new Error(`a process of the simulation ended with ${code}`));
    });
  });
}
