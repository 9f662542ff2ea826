import { existsSync } from 'node:fs';
import { install, Unavailable } from './run.ts';

let listsAreFresh = false;

/**
 * Sees to it that a program of Debian's is there, by its file; installs its packages if need be.
 * Only root of a Debian machine can; anybody else needs to have it already.
 */
export async function debian(file: string, ...packages: readonly string[]): Promise<string> {
  if (existsSync(file)) return file;
  if (!existsSync('/usr/bin/apt-get')) {
    throw new Unavailable(`${file} is missing and this is no Debian machine`);
  }
  if (process.getuid?.() !== 0) {
    throw new Unavailable(`${file} is missing and only root can install ${packages.join(' ')}`);
  }
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const apt = ['apt-get', '-q', '-y', '-o', 'DPkg::Lock::Timeout=120'];
  if (!listsAreFresh) await install([...apt, 'update'], { env });
  listsAreFresh = true;
  await install([...apt, 'install', '--no-install-recommends', ...packages], { env });
  if (!existsSync(file)) throw new Unavailable(`${packages.join(' ')} did not bring ${file}`);
  return file;
}
