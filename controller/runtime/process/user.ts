import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';

/** The user that pods run as, when it is another one than ours. */
export interface PodUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

class UnknownUser extends Error {
  override readonly name = 'UnknownUser';
}

const run = promisify(execFile);

/** Undefined when pods run as we do. Throws `UnknownUser` when nobody is called that, or when only root could switch. */
export async function findUser(name: string | undefined): Promise<PodUser | undefined> {
  if (name === undefined) return undefined;
  const [uid, gid] = await Promise.all([numberOf('-u', name), numberOf('-g', name)]);
  if (uid === process.geteuid?.()) return undefined;
  if (process.geteuid?.() !== 0)
    throw new UnknownUser(`only root can run pods as another user (${name})`);
  return { name, uid, gid };
}

/** `id` asks whatever the machine keeps its users in. */
async function numberOf(flag: string, name: string): Promise<number> {
  try {
    const { stdout } = await run('id', [flag, '--', name]);
    return Number(stdout);
  } catch {
    throw new UnknownUser(`this machine has no user "${name}"`);
  }
}

/** Whether `user` may execute the file or enter the folder, by asking as that user. */
export function mayEnter(user: PodUser, path: string): boolean {
  try {
    const { uid, gid } = user;
    execFileSync('/bin/sh', ['-c', 'test -x "$0"', path], { uid, gid, cwd: '/', stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
