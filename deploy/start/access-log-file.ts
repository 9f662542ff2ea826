import { closeSync, openSync } from 'node:fs';
import { BadSetting } from '../settings/group.ts';

/** Throws `BadSetting` where no line of an access log could be written; '' is stderr, and always fine. */
export function refuseUnwritable(path: string): void {
  if (path === '') return;
  try {
    closeSync(openSync(path, 'a', 0o640));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BadSetting(`PODGATE_ACCESS_LOG_FILE cannot be written: ${reason}`);
  }
}
