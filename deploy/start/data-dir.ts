import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { BadSetting } from '../settings/group.ts';

/**
 * Makes the data directory and those it is in. Not by `recursive`, which tries for ever where a folder is there
 * and none can be made in it, as in /proc. Throws `BadSetting` there, and errors of the system.
 */
export function makeDataDir(dir: string, mode: number): void {
  if (existsSync(dir)) return;
  const parent = dirname(dir);
  makeDataDir(parent, mode);
  try {
    mkdirSync(dir, { mode });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    // Another program may have made it meanwhile.
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT') throw error;
    throw new BadSetting(
      `PODGATE_DATA_DIR: in ${parent} no directory can be made, choose another place`,
    );
  }
}
