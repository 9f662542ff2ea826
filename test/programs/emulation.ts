import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { debian } from './debian.ts';
import { install, run, Unavailable } from './run.ts';

const registry = '/proc/sys/fs/binfmt_misc';
/** How Debian would have the kernel run programs of arm64. */
const settings = '/usr/lib/binfmt.d/qemu-aarch64.conf';

/**
 * Lets this kernel run programs of arm64 by Debian's QEMU, in containers too, until the function
 * that it gives is called. Throws `Unavailable` where nobody may tell the kernel so.
 */
export async function emulateArm64(): Promise<() => Promise<void>> {
  await debian('/usr/bin/qemu-aarch64-static', 'qemu-user-static');
  const mounts = !existsSync(join(registry, 'register'));
  if (mounts) await install(['mount', '-t', 'binfmt_misc', 'none', registry]);
  // A name of its own, so that it disturbs nobody who does the same.
  const name = `podgate-test-${process.pid}`;
  try {
    const setting = readFileSync(settings, 'utf8').replace(/^:[^:]*:/, `:${name}:`);
    writeFileSync(join(registry, 'register'), setting);
  } catch (error) {
    if (mounts) await run(['umount', registry]);
    throw new Unavailable(`the kernel takes no emulation: ${String(error)}`);
  }
  return async () => {
    writeFileSync(join(registry, name), '-1');
    const others = readdirSync(registry).filter((each) => !['register', 'status'].includes(each));
    if (mounts && others.length === 0) await run(['umount', registry]);
  };
}
