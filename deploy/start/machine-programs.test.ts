import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { BadSetting } from '../settings/group.ts';
import { machinePrograms } from './machine-programs.ts';

const folder = mkdtempSync(join(tmpdir(), 'podgate-programs-'));
afterAll(() => rmSync(folder, { recursive: true }));

function holding(name: string, ...files: string[]): string {
  const made = join(folder, name);
  mkdirSync(made);
  for (const file of files) writeFileSync(join(made, file), '');
  return made;
}

test('Neo4j is there when its jars and Java are', () => {
  const java = holding('java', 'java');
  const jars = holding('jars', 'neo4j-server-5.26.0.jar');
  expect(machinePrograms(`/nowhere:${java}`, jars).neo4j).toEqual({ java: `${java}/java`, jars });
  expect(machinePrograms('/nowhere', jars).neo4j).toBeUndefined();
  expect(machinePrograms(java, undefined).neo4j).toBeUndefined();
});

test('a folder without the jars of Neo4j is refused by the name of its setting', () => {
  for (const jars of [holding('empty'), '/nowhere']) {
    expect(() => machinePrograms('', jars)).toThrow(BadSetting);
    expect(() => machinePrograms('', jars)).toThrow(/^PODGATE_NEO4J_JARS must be .*neo4j-server/);
  }
});

test('Postgres is the folder with both of its programs', () => {
  const whole = holding('whole', 'initdb', 'postgres');
  const half = holding('half', 'postgres');
  const { postgres } = machinePrograms(`${half}:${whole}`, undefined);
  // A machine that has Debian's answers with that.
  expect(postgres).toMatch(/^\/usr\/lib\/postgresql\/\d+\/bin$|\/whole$/);
});
