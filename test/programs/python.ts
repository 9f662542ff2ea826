import { join } from 'node:path';
import { cached } from './cache.ts';
import { debian } from './debian.ts';
import { install } from './run.ts';

/** A Python interpreter of a virtual environment that has exactly what the requirements file pins. */
export async function python(name: string, requirements: string): Promise<string> {
  const folder = await cached(name, [requirements], async (making) => {
    await emptyEnvironment(making);
    // `pip` starts by an absolute path that moves with the folder; `python -m pip` does not.
    const argv = [join(making, 'bin', 'python'), '-m', 'pip', 'install', '-q', '--no-deps'];
    await install([...argv, '--no-input', '--disable-pip-version-check', '-r', requirements]);
  });
  return join(folder, 'bin', 'python');
}

/** An interpreter that has pip and nothing else, to fetch packages with. */
export async function bareInterpreter(): Promise<string> {
  return join(await cached('python-pip', [], emptyEnvironment), 'bin', 'python');
}

async function emptyEnvironment(folder: string): Promise<void> {
  // Debian's own python3 lacks venv until its package is there, whatever else is in PATH.
  await debian('/usr/share/doc/python3-venv', 'python3-venv');
  await install(['/usr/bin/python3', '-m', 'venv', '--copies', folder]);
}
