import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { expect, test } from 'vitest';

/**
 * The repository is one of the things tested. The arrows between folders are the architecture; they
 * stand here as data, and what the table does not allow is forbidden.
 */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  contracts: [],
  adapters: ['contracts'],
  gateway: ['contracts'],
  controller: ['contracts'],
  api: ['contracts'],
  certs: ['contracts'],
  // The manifest says which version is running.
  deploy: ['contracts', 'adapters', 'gateway', 'controller', 'api', 'certs', 'package.json'],
  bench: ['contracts', 'adapters', 'gateway', 'controller', 'api', 'certs', 'test'],
  test: ['contracts', 'adapters', 'gateway', 'controller', 'api', 'certs', 'deploy'],
};

const programs = ['gateway', 'controller', 'api', 'certs'];
const junkDrawers = /^(utils?|common|helpers?|types|lib|misc|shared)(\.ts)?$/;

/** Packages a folder must not import, longest matching folder first. */
const forbiddenPackages: readonly (readonly [string, RegExp, string])[] = [
  ['contracts', /^(?!zod$|#contracts\/|\.)/, 'contracts import nothing but zod'],
  ['gateway', /^(node:https?|undici|fastify)$/, 'the request path has its own engine'],
];

interface Source {
  readonly file: string;
  readonly text: string;
}

const root = dirname(import.meta.dirname);
const skipped = new Set(['node_modules', '.git', '.podgate', 'coverage', '.ci']);

function walk(folder: string): Source[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const file = join(folder, entry.name);
    if (skipped.has(entry.name)) return [];
    if (entry.isDirectory()) return walk(file);
    if (!/\.(ts|mjs)$/.test(entry.name)) return [];
    return [{ file, text: readFileSync(join(root, file), 'utf8') }];
  });
}

/** Every module a source names: static, type-only, re-exported, side-effect and dynamic imports. */
function importsOf(text: string): string[] {
  const pattern =
    /(?:^|[\n;])\s*(?:import|export)\s[^'"`;]*?from\s*['"]([^'"]+)['"]|(?:^|[\n;])\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g;
  return [...text.matchAll(pattern)].map(([, a, b, c]) => a ?? b ?? c ?? '');
}

function targetFolder(file: string, name: string): string | undefined {
  if (name.startsWith('#')) return name.slice(1).split('/')[0];
  if (!name.startsWith('.')) return undefined;
  return normalize(join(dirname(file), name)).split('/')[0];
}

const isTest = (file: string): boolean => file.endsWith('.test.ts') || file.startsWith('test/');
const isMain = (file: string): boolean => file.endsWith('/main.ts');

function importProblem({ file }: Source, name: string): string | undefined {
  const from = file.split('/')[0] ?? '';
  const to = targetFolder(file, name);
  for (const [folder, pattern, why] of forbiddenPackages) {
    if (from === folder && !isTest(file) && pattern.test(name)) return `${file}: ${name}: ${why}`;
  }
  if (to === undefined || to === from || !file.includes('/')) return undefined;
  return arrowAllowed(file, from, to)
    ? undefined
    : `${file}: ${from} must not import ${to} (${name})`;
}

function arrowAllowed(file: string, from: string, to: string): boolean {
  if (mayImport[from]?.includes(to)) return true;
  if (to === 'adapters' || to === 'deploy') return isMain(file) || isTest(file);
  return to === 'test' && isTest(file);
}

function problems(sources: readonly Source[]): string[] {
  return sources.flatMap((source) => [
    ...importsOf(source.text).flatMap((name) => importProblem(source, name) ?? []),
    ...placeProblems(source.file),
    ...leftovers(source),
  ]);
}

function placeProblems(file: string): string[] {
  const parts = file.split('/');
  const folder = parts[0] ?? '';
  if (parts.length > 1 && !Object.hasOwn(mayImport, folder))
    return [`${file}: folder ${folder} is not in the table`];
  return parts
    .filter((part) => junkDrawers.test(part))
    .map((part) => `${file}: ${part} says nothing`);
}

function leftovers({ file, text }: Source): string[] {
  const found: string[] = [];
  if (file === 'test/tidy.test.ts') return found;
  if (/FIXME|XXX|TODO(?!\()/.test(text)) found.push(`${file}: a leftover mark without an owner`);
  if (/\b(test|it|describe)\.(only|todo)\(/.test(text)) found.push(`${file}: a test switched off`);
  return found;
}

const sources = walk('.').map(({ file, text }) => ({ file: relative('.', file), text }));

test('the repository is found: a check that reads nothing would always be green', () => {
  expect(sources.length).toBeGreaterThan(50);
});

test('imports, places and leftovers are as the table allows', () => {
  expect(problems(sources)).toEqual([]);
});

test('a file in contracts serves at least two programs or adapters', () => {
  const users = new Map<string, Set<string>>();
  for (const { file, text } of sources) {
    const from = file.split('/')[0] ?? '';
    if (isTest(file) || ![...programs, 'adapters'].includes(from)) continue;
    for (const name of importsOf(text)) {
      if (!name.startsWith('#contracts/')) continue;
      const target = name.slice(1);
      users.set(target, (users.get(target) ?? new Set()).add(from));
    }
  }
  const lonely = sources
    .filter(({ file }) => file.startsWith('contracts/') && !isTest(file))
    .filter(({ file }) => (users.get(file)?.size ?? 0) < 2)
    .map(({ file }) => file);
  expect(lonely).toEqual([]);
});

test.each([
  ['a program importing another', 'gateway/x.ts', `import { a } from '../api/app.ts';`],
  ['an adapter outside main', 'api/x.ts', `import { a } from '#adapters/memory/store.ts';`],
  ['a type-only import', 'certs/x.ts', `import type { A } from '../controller/plan.ts';`],
  ['a re-export', 'controller/x.ts', `export * from '../gateway/tls.ts';`],
  ['a dynamic import', 'api/x.ts', `const a = await import('../certs/certs.ts');`],
  ['node:http on the request path', 'gateway/http1/x.ts', `import http from 'node:http';`],
  ['I/O in contracts', 'contracts/x.ts', `import fs from 'node:fs';`],
  ['an unknown folder', 'extras/x.ts', ''],
  ['a junk drawer', 'gateway/utils/x.ts', ''],
  ['a leftover', 'gateway/x.ts', '// FIXME later'],
])('%s is refused', (_name, file, text) => {
  expect(problems([{ file, text }])).toHaveLength(1);
});

test('a program may import contracts, and its main the adapters', () => {
  const text = `import { a } from '#contracts/clock.ts';\nimport { b } from '#adapters/system/clock.ts';`;
  expect(problems([{ file: 'gateway/main.ts', text }])).toEqual([]);
});

test('no conflict of a merge was left in a file', () => {
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' });
  const marked = files.split('\0').filter((file) => {
    if (!/\.(ts|mjs|md|json|py|sh|ya?ml)$/.test(file) || !existsSync(join(root, file)))
      return false;
    return /^(<{7}|>{7}) /m.test(readFileSync(join(root, file), 'utf8'));
  });
  expect(marked).toEqual([]);
});
