import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { outputFile, segmentStarts } from '../output/segments.ts';
import type { CopyTerms } from './copy-api.ts';
import { copyFromApi } from './copy-api.ts';
import { copyFromFile } from './copy-file.ts';
import { containerLog } from './container.ts';

/** Copies what a run writes; Podman has it in a file of ours, Docker tells it. */
export async function copyOutput(
  terms: CopyTerms,
  run: number,
  engine: 'Docker' | 'Podman',
): Promise<void> {
  if (engine === 'Docker') return copyFromApi(terms);
  return copyFromFile(containerLog(terms.folder, run), terms);
}

/** The container of a run is gone, and all of its output is in our files. */
export const discardLog = (folder: string, run: number): void =>
  rmSync(containerLog(folder, run), { force: true });

/** The position after all output that a pod has. */
export function outputEnd(folder: string): number {
  const start = existsSync(folder) ? segmentStarts(readdirSync(folder)).at(-1) : undefined;
  return start === undefined ? 0 : start + statSync(outputFile(folder, start)).size;
}
