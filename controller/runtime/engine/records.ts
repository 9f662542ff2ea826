import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { errorCode } from '../error-code.ts';
import type { RunLabel } from './labels.ts';

const zEnd = z.strictObject({
  by: z.enum(['itself', 'stopped', 'lost', 'refused']),
  exitCode: z.int().nullable(),
  signal: z.string().nullable(),
  message: z.string(),
  endedAtMs: z.number(),
});

/** What is remembered of the newest run of a pod, beside its output. Never holds a secret. */
const zRecord = z.object({
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
  end: zEnd.nullable(),
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

const recordFile = (folder: string): string => join(folder, 'run.json');

/** Replaces the record as a whole: a reader sees the old one or the new one. */
export function writeRecord(folder: string, record: Record): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = recordFile(folder);
  writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** By key, all that an earlier controller left in `root`; half a record is none. */
export function readRecords(root: string): Map<string, Record> {
  const found = new Map<string, Record>();
  for (const tenant of foldersIn(root)) {
    for (const podId of foldersIn(join(root, tenant))) {
      const record = readRecord(join(root, tenant, podId));
      if (record) found.set(`${tenant}/${podId}`, record);
    }
  }
  return found;
}

function readRecord(folder: string): Record | undefined {
  try {
    return zRecord.safeParse(JSON.parse(readFileSync(recordFile(folder), 'utf8'))).data;
  } catch (error) {
    if (error instanceof SyntaxError || errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const foldersIn = (parent: string): string[] =>
  readdirSync(parent, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
