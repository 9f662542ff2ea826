import { resolve } from 'node:path';
import { dataDir } from './fields.ts';
import { group } from './group.ts';

/** Where a program keeps what must outlive it. */
export const data = group({
  shape: { PODGATE_DATA_DIR: dataDir },
  choose: (values) => ({ dir: resolve(values.PODGATE_DATA_DIR) }),
});
