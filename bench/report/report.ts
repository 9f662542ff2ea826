import type { Question } from '../questions/question.ts';
import type { Result } from '../results.ts';
import type { Verdict } from '../targets.ts';
import { judge, targets } from '../targets.ts';
import { plot } from './plot.ts';
import { median } from './statistics.ts';
import { tableText, verdictText, verdictsText } from './text.ts';

export interface Written {
  /** Markdown. */
  readonly report: string;
  /** SVG by file name. */
  readonly plots: ReadonlyMap<string, string>;
}

export interface Sources {
  readonly questions: readonly Question[];
  /** By question; one that was never asked is missing. */
  readonly results: ReadonlyMap<string, Result>;
  /** What people found out, in Markdown, by question; 'other' stands at the end. */
  readonly notes: ReadonlyMap<string, string>;
}

const busyShare = 0.05;

/** The whole report: nothing in it but what is in the results, the targets and the notes. */
export function writeReport(sources: Sources): Written {
  const plots = new Map<string, string>();
  const parts = sources.questions.map((question) => section(question, sources, plots));
  const other = sources.notes.get('other');
  const report = [head(sources), allTargets(sources), ...parts, ...(other ? [other] : [])];
  return { report: `${report.map((part) => part.trim()).join('\n\n')}\n`, plots };
}

const plotName = (question: string, table: string): string => `${question}-${table}.svg`;

function head({ results }: Sources): string {
  const all = [...results.values()];
  const machines = [...new Set(all.map(({ machine }) => machine))];
  const versions = [...new Set(all.flatMap((result) => result.versions))];
  const commits = [...new Set(all.map(({ commit }) => commit))];
  return `# Report

Written by \`npm run bench\` from \`bench/results/\`; do not edit. \`npm run bench -- <question>\` repeats one
question, \`npm run bench\` all of them; it says what is missing.

- Machine: ${machines.join('; ')}
- Commit: ${commits.join(', ')}
- ${versions.join('\n- ')}
${noise(all)}
How it is measured: what is under test is pinned to core 0 alone, with one worker; load generator and
pod share core 1, so throughput and p99 are those of a machine with two cores and the figure is CPU
time. It is that of all processes of the gateway (parent and worker of ours, master and worker of
nginx), by the scheduler's count in /proc/<pid>/task/*/schedstat; the split into user and system is by
the clock tick. Rounds go A B C, A B C after a warm-up. Figures are medians, with the least and the
most; a ratio *per round* compares figures of the same round, and is the one that targets go by.
"Others on the core" is the share of core 0 that went to anything else meanwhile.`;
}

function noise(results: readonly Result[]): string {
  const shares = results.flatMap(({ tables }) =>
    tables.flatMap(({ rows }) =>
      rows.flatMap(({ samples }) => samples.flatMap(({ others }) => others ?? [])),
    ),
  );
  const busy = results.filter(({ othersBefore }) => othersBefore > busyShare).length;
  if (busy === 0 && !(median(shares) > busyShare)) return '';
  return `
**Others worked on the machine meanwhile**: ${busy} of ${results.length} questions began on a machine that was
busy; a median of ${(median(shares) * 100).toFixed(0)} % of the measured core went to others. Take
ratios per round from it, and absolute figures with care.
`;
}

function allTargets({ results }: Sources): string {
  const rows = targets.map((target) => {
    const verdict: Verdict = judge(target, results.get(target.question)?.tables ?? []);
    return verdictText(verdict, target.question);
  });
  return [
    '## Targets\n',
    '| question | target | measured | |',
    '| --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function section(question: Question, sources: Sources, plots: Map<string, string>): string {
  const { name, title, about } = question;
  const result = sources.results.get(name);
  const notes = sources.notes.get(name)?.trim();
  const lines = [`## ${title}`, `\`npm run bench -- ${name}\`. ${about}`];
  if (!result) lines.push('Not measured yet.');
  for (const table of result?.tables ?? []) {
    const file = plotName(name, table.id);
    plots.set(file, plot(table));
    lines.push(`### ${table.title}`, tableText(table), `![${table.title}](plots/${file})`);
  }
  const verdicts = verdictsText(name, result?.tables ?? []);
  if (verdicts !== '') lines.push(verdicts);
  if (notes) lines.push(notes);
  if (result) lines.push(told(result));
  return lines.join('\n\n');
}

const told = ({ takenAt, commit, othersBefore, tookSeconds }: Result): string =>
  `${takenAt.slice(0, 16).replace('T', ' ')} UTC, commit ${commit}, ${tookSeconds} s; others had ` +
  `${(othersBefore * 100).toFixed(0)} % of the machine just before.`;
