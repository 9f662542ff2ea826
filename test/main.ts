import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * `npm test`: everything a reviewer would run, in order of cost. `npm run test:long`: what takes long
 * or needs more than npm and Debian's packages. The closing line has the counts.
 */

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const root = dirname(import.meta.dirname);
const bin = (name: string): string => join(root, 'node_modules', '.bin', name);
// Tools start with `#!/usr/bin/env node`: the right Node must come first.
const path = `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`;

function run(command: string, argv: readonly string[]): boolean {
  const startedMs = Date.now();
  process.stdout.write(`\n── ${[command, ...argv].join(' ').replaceAll(`${root}/`, '')}\n`);
  const { status } = spawnSync(command, argv, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PATH: path },
  });
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  process.stdout.write(`${status === 0 ? 'ok' : 'FAILED'} (${seconds} s)\n`);
  return status === 0;
}

function check(command: string, ...argv: string[]): Counts {
  const ok = run(bin(command), argv);
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

/** Runs one vitest project. A run that reports nothing, or fails without a failed test, is a failure. */
function suite(project: string): Counts {
  const folder = mkdtempSync(join(tmpdir(), 'podgate-test-'));
  const report = join(folder, 'report.json');
  const ok = run(process.execPath, [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    `--project=${project}`,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ]);
  try {
    const json: unknown = JSON.parse(readFileSync(report, 'utf8'));
    const counts = countsOf(json);
    if (!ok && counts.failed === 0) counts.failed = 1;
    return counts;
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function countsOf(report: unknown): Counts {
  const number = (key: string): number => {
    const value: unknown = Reflect.get(Object(report), key);
    return typeof value === 'number' ? value : 0;
  };
  return {
    passed: number('numPassedTests'),
    failed: number('numFailedTests'),
    skipped: number('numPendingTests') + number('numTodoTests'),
  };
}

const plans: Readonly<Record<string, () => Counts[]>> = {
  quick: () => [
    check('oxfmt', '--check', '.'),
    check('oxlint'),
    check('tsc', '-p', '.'),
    check('knip'),
    suite('unit'),
    suite('integration'),
  ],
  long: () => [suite('long'), suite('faults'), suite('clients'), suite('suites'), suite('engine')],
  faults: () => [suite('faults')],
  clients: () => [suite('clients')],
};

const plan = plans[process.argv[2] ?? 'quick'];
if (!plan) throw new Error(`there are no tests called ${process.argv[2]}`);

const total: Counts = { passed: 0, failed: 0, skipped: 0 };
for (const { passed, failed, skipped } of plan()) {
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
}

const countsFile = process.env['PODGATE_TEST_COUNTS'];
if (countsFile) appendFileSync(countsFile, `${total.passed} ${total.failed} ${total.skipped}\n`);
else console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;
