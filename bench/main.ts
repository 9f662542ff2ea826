import { execFileSync } from 'node:child_process';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { Bench } from './bench.ts';
import type { Tool } from './machine/tools.ts';
import { machine, missing, versions } from './machine/tools.ts';
import { questions } from './questions/questions.ts';
import type { Question } from './questions/question.ts';
import { tableText, verdictsText } from './report/text.ts';
import type { Result } from './results.ts';

/**
 * `npm run bench -- <question> ...` prints what it measures; `npm run bench` asks all questions.
 * Everything it starts ends with it.
 */

const questionMsMax = 240_000;
const always: readonly Tool[] = ['taskset', 'openssl'];
const usage = `npm run bench -- [question ...] [--rounds n] [--also checkout]
  without a question: all of them
  --rounds n        instead of the usual number of rounds
  --also checkout   another checkout of this repository, measured beside this one as 'other'
questions: ${questions.map(({ name }) => name).join(' ')}`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string' }, also: { type: 'string' }, help: { type: 'boolean' } },
});

function chosen(): readonly Question[] {
  const unknown = positionals.filter((wanted) => !questions.some(({ name }) => name === wanted));
  if (options.help || unknown.length > 0) {
    console.error(usage);
    process.exit(options.help ? 0 : 2);
  }
  if (positionals.length === 0) return questions;
  return questions.filter(({ name }) => positionals.includes(name));
}

async function ask(question: Question): Promise<Result> {
  const [load = 0] = loadavg();
  const startedMs = Date.now();
  const bench = new Bench(options.also);
  const interrupted = (): void => void bench.close().finally(() => process.exit(130));
  const late = (): void => {
    console.error(`${question.name} takes longer than ${questionMsMax / 1_000} s: given up`);
    void bench.close().finally(() => process.exit(1));
  };
  const timer = setTimeout(late, questionMsMax);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, interrupted);
  try {
    const tables = await question.run(bench, options.rounds ? Number(options.rounds) : undefined);
    return {
      question: question.name,
      takenAt: new Date(startedMs).toISOString(),
      commit: commit(),
      machine: machine(),
      versions: versions([...new Set([...question.tools, ...always])]),
      loadAverage: load,
      tookSeconds: Math.round((Date.now() - startedMs) / 1_000),
      tables,
    };
  } finally {
    clearTimeout(timer);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, interrupted);
    await bench.close();
  }
}

const git = (...argv: string[]): string =>
  execFileSync('git', argv, { cwd: import.meta.dirname, encoding: 'utf8' }).trim();

function commit(): string {
  return (
    git('rev-parse', '--short', 'HEAD') +
    (git('status', '--porcelain') === '' ? '' : ' with changes')
  );
}

const asked = chosen();
const lacking = missing([...new Set([...always, ...asked.flatMap(({ tools }) => tools)])]);
if (lacking !== '') {
  console.error(lacking);
  process.exit(1);
}
for (const question of asked) {
  console.log(`\n## ${question.title}\n\n${question.about}\n`);
  const { tables, tookSeconds } = await ask(question);
  for (const table of tables) console.log(`${tableText(table)}\n`);
  console.log(`${verdictsText(question.name, tables)}\n\n${tookSeconds} s`);
}
