import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { MachinePrograms } from '../../api/templates/seed/processes.ts';
import { BadSetting } from '../settings/group.ts';

const debianPostgres = '/usr/lib/postgresql';

/**
 * Programs of this machine that templates can be made of: Postgres where Debian puts it (the newest
 * of several) or in `path`, and Neo4j when its jars are named and a `java` is in `path`. Throws
 * `BadSetting` for a folder without them.
 */
export function machinePrograms(path: string, neo4jJars: string | undefined): MachinePrograms {
  if (neo4jJars !== undefined && !holdsNeo4j(neo4jJars)) {
    throw new BadSetting(
      `PODGATE_NEO4J_JARS must be the folder of a Neo4j server's jars, with a neo4j-server-*.jar (is "${neo4jJars}")`,
    );
  }
  const java = inPath(path, 'java');
  return {
    postgres: postgresFolder(path),
    neo4j: java && neo4jJars ? { java, jars: neo4jJars } : undefined,
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
