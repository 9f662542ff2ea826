import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '#adapters/system/clock.ts';
import { Bench } from './bench.ts';
import { cores } from './machine/processes.ts';
import type { Tool } from './machine/tools.ts';
import { busyTicks, ticksPerSecond } from './machine/usage.ts';
import { machine, missing, versions } from './machine/tools.ts';
import { questions } from './questions/questions.ts';
import type { Question } from './questions/question.ts';
import { saveReport, saveResult } from './report/files.ts';
import { tableText, verdictsText } from './report/text.ts';
import type { Result } from './results.ts';

/**
 * `npm run bench -- <question> ...` prints what it measures; `npm run bench` asks all questions.
 * Everything it starts ends with it.
 */

const questionMsMax = 240_000;
const always: readonly Tool[] = ['taskset', 'openssl'];
const usage = `npm run bench -- [question ...] [--save] [--rounds n] [--also checkout]
  without a question: all of them, saved
  --save            keep the results in bench/results and write bench/REPORT.md anew
  --rounds n        instead of the usual number of rounds
  --also checkout   another checkout of this repository, measured beside this one as 'other'
  report            instead of a question: only write the report anew
questions: ${questions.map(({ name }) => name).join(' ')}`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    save: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    also: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
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
  const startedMs = Date.now();
  // The load's core is for everything but what is measured.
  const allowed = question.wholeMachine ? `0-${cpus().length - 1}` : String(cores.rest);
  execFileSync('taskset', ['-a', '-c', '-p', allowed, String(process.pid)]);
  const othersBefore = await othersShare();
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
      commit: measured,
      machine: machine(),
      versions: versions([...new Set([...question.tools, ...always])]),
      othersBefore,
      tookSeconds: Math.round((Date.now() - startedMs) / 1_000),
      tables,
    };
  } finally {
    clearTimeout(timer);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, interrupted);
    await bench.close();
  }
}

async function othersShare(): Promise<number> {
  const all = cpus().map((_, core) => core);
  const busy = (): number => all.reduce((sum, core) => sum + busyTicks(core), 0);
  const before = busy();
  await systemClock.sleep(1_000);
  return (busy() - before) / (ticksPerSecond * all.length);
}

/** What is measured; the report itself may differ. */
function commit(): string {
  const git = ['-C', join(import.meta.dirname, '..')];
  const own = [':!bench/results', ':!bench/plots', ':!bench/REPORT.md'];
  try {
    const head = execFileSync('git', [...git, 'rev-parse', '--short', 'HEAD'], { stdio: 'pipe' });
    const changes = execFileSync('git', [...git, 'status', '--porcelain', '--', '.', ...own]);
    return String(head).trim() + (changes.length === 0 ? '' : ' with changes');
  } catch {
    return 'unknown';
  }
}

if (positionals.join() === 'report') {
  saveReport();
  process.exit(0);
}
const asked = chosen();
const measured = commit();
const save = options.save || positionals.length === 0;

const lacking = missing([...new Set([...always, ...asked.flatMap(({ tools }) => tools)])]);
if (lacking !== '') {
  console.error(lacking);
  process.exit(1);
}
for (const question of asked) {
  console.log(`\n## ${question.title}\n\n${question.about}\n`);
  try {
    const result = await ask(question);
    const { tables, tookSeconds } = result;
    if (save) saveResult(result);
    for (const table of tables) console.log(`${tableText(table)}\n`);
    console.log(`${verdictsText(question.name, tables)}\n\n${tookSeconds} s`);
  } catch (error) {
    // The others can be answered all the same.
    console.error(`${question.name} is not answered:`, error);
    process.exitCode = 1;
  }
}
if (save) saveReport();
