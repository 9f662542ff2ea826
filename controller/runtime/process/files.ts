import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunEnd } from '../runtime.ts';
import type { ProcessName } from './proc.ts';
import { errorCode } from '../error-code.ts';

/** What is known of the newest run of a pod, on disk in `run.json`. Never holds a secret. */
export interface RunRecord {
  readonly run: number;
  readonly podCreatedAtMs: number;
  readonly startedAtMs: number;
  readonly ports: Readonly<Record<string, number>>;
  readonly shim: ProcessName | null;
  readonly program: ProcessName | null;
  readonly end: RunEnd | null;
}

/** What the runtime tells a shim over its stdin, because of the secrets in it. */
export interface LaunchOrder {
  readonly record: RunRecord;
  readonly file: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly user: { readonly uid: number; readonly gid: number } | null;
  /** From SIGTERM to SIGKILL when the shim is told to end and nobody tells it more. */
  readonly graceMs: number;
}

/** Files of one pod below `<pods>/<tenant>/<podId>`, beside those of its output. */
export const podFiles = (folder: string): { work: string; record: string } => ({
  work: join(folder, 'work'),
  record: join(folder, 'run.json'),
});

/** Replaces the record as a whole: a reader sees the old one or the new one. */
export function writeRecord(folder: string, record: RunRecord): void {
  const { record: file } = podFiles(folder);
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(record), { mode: 0o600 });
  renameSync(draft, file);
}

/** The record, or undefined when there is none or a power cut has left half of one. */
export function readRecord(folder: string): RunRecord | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(podFiles(folder).record, 'utf8'));
    return isRecord(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error))) return undefined;
    throw error;
  }
}

/** Only this program writes the file, so a whole JSON object with these keys is a record. */
function isRecord(value: unknown): value is RunRecord {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['run', 'podCreatedAtMs', 'startedAtMs', 'ports', 'shim', 'program', 'end'].every((name) =>
      Object.hasOwn(value, name),
    )
  );
}
