import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RunRecord } from './files.ts';
import { readRecord } from './files.ts';
import { isAlive } from './proc.ts';
import { endOrphan } from './supervised-run.ts';

/** A run that an earlier controller left on disk. */
export interface Found {
  readonly key: string;
  readonly folder: string;
  readonly record: RunRecord;
}

/** Finds all runs below `pods`. */
export function findRuns(pods: string): Found[] {
  return folders(pods).flatMap((tenant) =>
    folders(join(pods, tenant)).flatMap((podId): Found[] => {
      const folder = join(pods, tenant, podId);
      const record = readRecord(folder);
      return record ? [{ key: `${tenant}/${podId}`, folder, record }] : [];
    }),
  );
}

/**
 * The record of a run that nobody here has watched. One whose shim lives goes on; one whose shim is
 * gone is over: what it may have left running is ended, because nobody reads its output or learns its
 * exit code any more.
 */
export function settle({ folder, record }: Found, nowMs: number): RunRecord {
  if (record.end || (record.shim && isAlive(record.shim))) return record;
  const message = 'ended while the controller was away';
  // The shim may have written the end between our two looks.
  const newest = readRecord(folder) ?? record;
  // Or another controller has launched the next run.
  if (newest.run !== record.run || newest.podCreatedAtMs !== record.podCreatedAtMs) return newest;
  return endOrphan(folder, newest, { by: 'lost', message, endedAtMs: nowMs });
}

const folders = (parent: string): string[] =>
  readdirSync(parent, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => entry.name);
