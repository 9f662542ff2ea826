import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { errorCode } from '../error-code.ts';
import { zNetworks } from './names.ts';

/** What is remembered of the newest run of a pod, beside its output. Never holds a secret. */
const zRecord = z.object({
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
  end: z
    .strictObject({
      by: z.enum(['itself', 'stopped', 'lost', 'refused']),
      exitCode: z.int().nullable(),
      signal: z.string().nullable(),
      message: z.string(),
      endedAtMs: z.number(),
    })
    .nullable(),
});
export type Record = z.infer<typeof zRecord>;

const recordFile = (folder: string): string => join(folder, 'run.json');

/** Replaces the record as a whole: a reader sees the old one or the new one. */
export function writeRecord(folder: string, record: Record): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = recordFile(folder);
  writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** All that an earlier controller left in `root`; half a record is none. */
export function readRecords(root: string): Record[] {
  mkdirSync(root, { recursive: true, mode: 0o700 });
  return foldersIn(root).flatMap((tenant) =>
    foldersIn(join(root, tenant)).flatMap((podId) => readRecord(join(root, tenant, podId)) ?? []),
  );
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
