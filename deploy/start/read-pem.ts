import { readFileSync } from 'node:fs';
import { BadSetting } from '../settings/group.ts';

/** The text of the file that a setting names. Throws `BadSetting`. */
export function readPem(setting: string, file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new BadSetting(`${setting} cannot be read: ${String(error)}`);
  }
}
