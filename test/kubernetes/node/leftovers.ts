import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { systemClock } from '#adapters/system/clock.ts';
import { orphanedFolders } from '../../programs/podman-leftovers.ts';
import { run } from '../../programs/run.ts';

/** What is left of a node whose processes have ended: its folder, its bridge and its cgroups. */

/** Of a node's folder. */
export const nodePrefix = 'podgate-node-';
const controllers = '/sys/fs/cgroup';
const emptyMs = 10_000;

/** Below which its containers are. */
export const cgroupOf = (folder: string): string => basename(folder);

/** Names of links have 15 characters at most. */
export const bridgeOf = (folder: string): string =>
  `podgate-${basename(folder).slice(nodePrefix.length)}`;

/** Takes away what nodes of test runs left that were killed; the kernel has ended their processes. */
export async function clearNodes(): Promise<void> {
  for (const folder of orphanedFolders(nodePrefix)) {
    process.stderr.write(`The node of a test run that was killed is taken away: ${folder}\n`);
    await takeAway(folder);
  }
}

export async function takeAway(folder: string): Promise<void> {
  await run(['ip', 'link', 'del', bridgeOf(folder)]);
  const deadlineMs = performance.now() + emptyMs;
  // Of what was just killed some may still be about to end.
  while (!removeCgroups(cgroupOf(folder)) && performance.now() < deadlineMs)
    await systemClock.sleep(100);
  const mounted = readFileSync('/proc/self/mounts', 'utf8').includes(`${folder}/`);
  if (!mounted) rmSync(folder, { recursive: true, force: true });
}

/** Of all controllers where each has a tree of its own; false when some are not empty yet. */
function removeCgroups(name: string): boolean {
  if (!existsSync(controllers)) return true;
  const roots = [controllers, ...subfolders(controllers)].map((root) => join(root, name));
  return roots
    .filter((root) => existsSync(root))
    .map(removeTree)
    .every(Boolean);
}

function removeTree(cgroup: string): boolean {
  const below = subfolders(cgroup).map(removeTree);
  try {
    rmdirSync(cgroup);
  } catch {
    return false;
  }
  return below.every(Boolean);
}

const subfolders = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(folder, name));
