import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { MachinePrograms } from '../../api/templates/seed/processes.ts';

const debianPostgres = '/usr/lib/postgresql';

/**
 * Programs of this machine that templates can be made of: Postgres where Debian puts it (the newest
 * of several) or in `path`, and Neo4j when there are its jars and a `java` in `path`.
 */
export function machinePrograms(path: string, neo4jJars: string | undefined): MachinePrograms {
  const java = inPath(path, 'java');
  return {
    postgres: postgresFolder(path),
    neo4j: java && neo4jJars && holdsNeo4j(neo4jJars) ? { java, jars: neo4jJars } : undefined,
  };
}

function postgresFolder(path: string): string | undefined {
  const versions = existsSync(debianPostgres) ? readdirSync(debianPostgres) : [];
  const folders = versions
    .toSorted((a, b) => Number(b) - Number(a))
    .map((version) => join(debianPostgres, version, 'bin'));
  return [...folders, ...path.split(':')].find(
    (folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')),
  );
}

function inPath(path: string, name: string): string | undefined {
  const file = path
    .split(':')
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((each) => existsSync(each));
  return file && realpathSync(file);
}

const holdsNeo4j = (folder: string): boolean =>
  existsSync(folder) && readdirSync(folder).some((name) => /^neo4j-server-\d.*\.jar$/.test(name));
