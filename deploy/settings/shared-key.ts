import { resolve } from 'node:path';
import { text } from './fields.ts';
import { BadSetting, group } from './group.ts';

/** The key of programs that run alone: what one seals the others open, so none may make its own. */
export const sharedKey = group({
  shape: { PODGATE_SECRET_KEY_FILE: text.optional() },
  choose: (values) => {
    const file = values.PODGATE_SECRET_KEY_FILE;
    if (file !== undefined) return { file: resolve(file) };
    throw new BadSetting(
      'PODGATE_SECRET_KEY_FILE is not set: programs that run alone seal with one key, give all the same file',
    );
  },
});
