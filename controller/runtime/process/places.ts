import { createHash } from 'node:crypto';
import {
  chmod,
  copyFile,
  link,
  lstat,
  mkdir,
  readdir,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Log } from '#contracts/log.ts';
import type { PodUser } from './user.ts';
import { mayEnter } from './user.ts';

/** Where pods live on disk and what they need there. */
export interface Places {
  /** Holds `<tenant>/<podId>`. */
  readonly pods: string;
  /** A Node that the user of pods may execute. */
  readonly node: string;
  /** The program of `podgate/hello`, readable by the user of pods. */
  readonly hello: string;
}

/** Others may enter, but neither list nor change what is there. */
const passThrough = 0o011;

const hello = join(import.meta.dirname, '../../../deploy/examples/hello');

/**
 * Makes the folders, and copies what the user of pods could not read where it lies (a repository in
 * root's home is closed to everybody else).
 */
export async function preparePlaces(
  dataDir: string,
  user: PodUser | undefined,
  log: Log,
): Promise<Places> {
  const pods = await podsFolder(dataDir, user, log);
  // No tenant's name starts with a dot.
  const programs = join(pods, '.programs');
  await makeFolder(programs);
  return {
    pods,
    node: await reachableNode(programs, user),
    hello: await copyHello(programs),
  };
}

/** A folder that pods pass through on the way to their own. */
export async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const found = await lstat(folder);
  if (!found.isDirectory()) throw new Error(`${folder} is no directory`);
  if ((found.mode & 0o777) !== (0o700 | passThrough)) await chmod(folder, 0o700 | passThrough);
}

async function podsFolder(dataDir: string, user: PodUser | undefined, log: Log): Promise<string> {
  const pods = join(dataDir, 'pods');
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
  await makeFolder(pods);
  if (!user || mayEnter(user, pods)) return pods;
  const { mode } = await lstat(dataDir);
  await chmod(dataDir, mode | passThrough);
  if (mayEnter(user, pods)) return pods;
  // Only root switches users, so this place is ours to make.
  const id = createHash('sha256').update(dataDir).digest('hex').slice(0, 12);
  const other = join('/var/lib/podgate', id, 'pods');
  await mkdir(other, { recursive: true, mode: 0o711 });
  await makeFolder(other);
  log.warn(
    { user: user.name, dataDir, pods: other },
    'the user of pods cannot enter the data directory; pods keep their files elsewhere',
  );
  return other;
}

async function copyHello(programs: string): Promise<string> {
  const folder = join(programs, 'hello');
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
  const sources = (await readdir(hello)).filter((name) => !name.endsWith('.test.ts'));
  for (const name of sources) {
    const copy = join(folder, name);
    // Replaced as a whole, for a pod that is starting now.
    await copyFile(join(hello, name), `${copy}.new`);
    await chmod(`${copy}.new`, 0o644);
    await rename(`${copy}.new`, copy);
  }
  // Says how to read the sources, as the repository's own does where they come from.
  await writeFile(join(folder, 'package.json'), '{"type":"module"}\n', { mode: 0o644 });
  return join(folder, 'main.ts');
}

async function reachableNode(programs: string, user: PodUser | undefined): Promise<string> {
  if (!user || mayEnter(user, process.execPath)) return process.execPath;
  const copy = join(programs, `${basename(process.execPath)}-${process.version}`);
  if (mayEnter(user, copy)) return copy;
  await rm(copy, { force: true });
  // A link costs nothing; across file systems only a copy works.
  await link(process.execPath, copy).catch(() => copyFile(process.execPath, copy));
  if (!mayEnter(user, copy)) {
    await rm(copy, { force: true });
    await copyFile(process.execPath, copy);
    await chmod(copy, 0o755);
  }
  return copy;
}
