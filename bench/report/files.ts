import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { questions } from '../questions/questions.ts';
import type { Result } from '../results.ts';
import { writeReport } from './report.ts';

const bench = join(import.meta.dirname, '..');
const resultsFolder = join(bench, 'results');
const notesFolder = join(bench, 'notes');
const plotsFolder = join(bench, 'plots');

/** Three digits more than a figure has are noise, and bytes in the repository. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;

export function saveResult(result: Result): void {
  mkdirSync(resultsFolder, { recursive: true });
  const file = join(resultsFolder, `${result.question}.json`);
  writeFileSync(file, `${JSON.stringify(result, rounded, 1)}\n`);
}

/** Writes REPORT.md and the plots anew from what is saved. */
export function saveReport(): void {
  const results = new Map<string, Result>();
  const notes = new Map<string, string>();
  for (const name of [...questions.map((question) => question.name), 'other']) {
    const [result, note] = [join(resultsFolder, `${name}.json`), join(notesFolder, `${name}.md`)];
    if (existsSync(result)) results.set(name, JSON.parse(readFileSync(result, 'utf8')));
    if (existsSync(note)) notes.set(name, readFileSync(note, 'utf8'));
  }
  const { report, plots } = writeReport({ questions, results, notes });
  writeFileSync(join(bench, 'REPORT.md'), report);
  mkdirSync(plotsFolder, { recursive: true });
  for (const file of readdirSync(plotsFolder)) rmSync(join(plotsFolder, file));
  for (const [file, svg] of plots) writeFileSync(join(plotsFolder, file), svg);
}
