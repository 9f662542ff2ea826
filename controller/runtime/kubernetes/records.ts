import { z } from 'zod';
import { zRunEnd } from '../records.ts';
import { zNetworks } from './names.ts';

/** What is remembered of the newest run of a pod. */
export const zRecord = z.object({
  key: z.string(),
  run: z.int(),
  podCreatedAtMs: z.number(),
  networks: zNetworks,
  memoryLimitMi: z.int(),
  startedAtMs: z.number(),
  /** Where the output of this run begins. */
  outputStart: z.int(),
  /** We have asked for its end. */
  stopping: z.boolean(),
  end: zRunEnd.nullable(),
});
export type Record = z.infer<typeof zRecord>;
