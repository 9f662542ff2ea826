import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Standalone } from '../integration/standalone.ts';
import { root } from '../integration/standalone.ts';

/** Outside git, kept from run to run, and gone with node_modules. */
const cacheFolder = join(root, 'node_modules', '.cache', 'podgate-tests');

/**
 * The folder that `make` fills, made once for these contents of `pins` (the files that say what is
 * in it). A making that fails or is interrupted leaves nothing behind.
 */
export async function cached(
  name: string,
  pins: readonly string[],
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const hash = createHash('sha256').update(name);
  for (const pin of pins) hash.update(readFileSync(pin));
  const folder = join(cacheFolder, `${name}-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  const making = `${folder}.making`;
  rmSync(making, { recursive: true, force: true });
  mkdirSync(making, { recursive: true });
  await make(making);
  renameSync(making, folder);
  return folder;
}

/**
 * A copy of something cached that the user of pods can read, as it may not the cache in somebody's
 * home. It goes when Podgate is stopped and forgotten.
 */
export const forPods = (podgate: Standalone, path: string): string =>
  copyForPods(podgate.dataDir, path);

/** The same beside a data directory that no Podgate has opened yet. */
export function copyForPods(dataDir: string, path: string): string {
  const copy = join(dirname(dataDir), basename(path));
  cpSync(path, copy, { recursive: true });
  return copy;
}
