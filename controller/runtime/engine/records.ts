import { z } from 'zod';
import { zRunEnd } from '../records.ts';
import type { RunLabel } from './labels.ts';

/** What is remembered of the newest run of a pod. */
export const zRecord = z.object({
  run: z.int(),
  podCreatedAtMs: z.number(),
  startedAtMs: z.number(),
  networks: z.array(
    z.strictObject({
      name: z.string(),
      protocol: z.enum(['http', 'tcp', 'postgres', 'local_only']),
      port: z.int(),
    }),
  ),
  memoryLimitMi: z.int(),
  /** Id of the container, once there is one. */
  container: z.string().nullable(),
  /** The program was begun. */
  began: z.boolean(),
  /** We are about to end it. */
  stopping: z.boolean(),
  /** Where the output of this run begins. */
  outputStart: z.int(),
  notes: z.array(z.strictObject({ atMs: z.number(), text: z.string() })),
  end: zRunEnd.nullable(),
});
export type Record = z.infer<typeof zRecord>;

/** Of a run that begins now. */
export const newRecord = (label: RunLabel, atMs: number, outputStart: number): Record => ({
  run: label.run,
  podCreatedAtMs: label.podCreatedAtMs,
  startedAtMs: atMs,
  networks: label.networks,
  memoryLimitMi: label.memoryLimitMi,
  container: null,
  began: false,
  stopping: false,
  outputStart,
  notes: [],
  end: null,
});
