import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { debian } from './debian.ts';
import { install } from './run.ts';

/** A Python interpreter of a virtual environment that has exactly what the requirements file pins. */
export async function python(name: string, requirements: string): Promise<string> {
  return join(await environment(name, requirements), 'bin', 'python');
}

/** The folder with the packages of such an environment. */
export async function pythonPackages(name: string, requirements: string): Promise<string> {
  const folder = await environment(name, requirements);
  const versions = join(folder, 'lib');
  return join(versions, readdirSync(versions)[0] ?? '', 'site-packages');
}

/** An interpreter that has pip and nothing else, to fetch packages with. */
export async function bareInterpreter(): Promise<string> {
  return join(await cached('python-pip', [], emptyEnvironment), 'bin', 'python');
}

function environment(name: string, requirements: string): Promise<string> {
  return cached(name, [requirements], async (making) => {
    await emptyEnvironment(making);
    // `pip` starts by an absolute path that moves with the folder; `python -m pip` does not.
    const argv = [join(making, 'bin', 'python'), '-m', 'pip', 'install', '-q', '--no-deps'];
    await install([...argv, '--no-input', '--disable-pip-version-check', '-r', requirements]);
  });
}

async function emptyEnvironment(folder: string): Promise<void> {
  // Debian's own python3 lacks venv until its package is there, whatever else is in PATH.
  await debian('/usr/share/doc/python3-venv', 'python3-venv');
  await install(['/usr/bin/python3', '-m', 'venv', '--copies', folder]);
}
