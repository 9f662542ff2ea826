import { LogFiles } from './log-files.ts';
import { takeSnapshot } from './snapshot.ts';

export interface NextRun {
  readonly run: number;
  readonly nowMs: number;
}

/**
 * Parts the output of a run that is about to begin from that of earlier ones by a line, once however often it
 * is begun. Resolves with the position after it.
 */
export async function beginRun(folder: string, { run, nowMs }: NextRun): Promise<number> {
  const line = `--- run ${run} ---\n`;
  await using kept = await takeSnapshot(folder);
  if (kept.end === 0) return 0;
  const last = (await kept.read(kept.end - line.length - 1, kept.end)).toString();
  if (last === `\n${line}`) return kept.end;
  const files = new LogFiles(folder, () => nowMs);
  try {
    files.append(Buffer.from(last.endsWith('\n') ? line : `\n${line}`));
    return files.end;
  } finally {
    files.close();
  }
}
