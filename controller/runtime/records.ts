import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { errorCode } from './error-code.ts';

/** What is remembered of the newest run of a pod, beside its output. Never holds a secret. */

export const zRunEnd = z.strictObject({
  by: z.enum(['itself', 'stopped', 'lost', 'refused']),
  exitCode: z.int().nullable(),
  signal: z.string().nullable(),
  message: z.string(),
  endedAtMs: z.number(),
});

const recordFile = (folder: string): string => join(folder, 'run.json');

/** Replaces the record as a whole: a reader sees the old one or the new one. */
export function writeRecord(folder: string, record: object): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = recordFile(folder);
  writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** By key, all that an earlier controller left in `root`; half a record is none. */
export function readRecords<T>(root: string, schema: z.ZodType<T>): Map<string, T> {
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const found = new Map<string, T>();
  for (const tenant of foldersIn(root)) {
    for (const podId of foldersIn(join(root, tenant))) {
      const record = readRecord(join(root, tenant, podId), schema);
      if (record !== undefined) found.set(`${tenant}/${podId}`, record);
    }
  }
  return found;
}

function readRecord<T>(folder: string, schema: z.ZodType<T>): T | undefined {
  try {
    return schema.safeParse(JSON.parse(readFileSync(recordFile(folder), 'utf8'))).data;
  } catch (error) {
    if (error instanceof SyntaxError || errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const foldersIn = (parent: string): string[] =>
  readdirSync(parent, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
