import { resolve } from 'node:path';
import { dataDir, text } from './fields.ts';
import { group } from './group.ts';

/** The key that seals what is secret; made at the first start where the file is not there yet. */
export const secrets = group({
  shape: { PODGATE_DATA_DIR: dataDir, PODGATE_SECRET_KEY_FILE: text.optional() },
  choose: (values) => ({
    keyFile: resolve(values.PODGATE_SECRET_KEY_FILE ?? `${values.PODGATE_DATA_DIR}/secret.key`),
  }),
});
