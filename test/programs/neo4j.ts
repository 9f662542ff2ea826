import { dirname } from 'node:path';
import process from 'node:process';
import { makeDataDir, Standalone } from '../integration/standalone.ts';
import { copyForPods } from './cache.ts';

/** A Podgate that has the template `neo4j`, since it is told of Java and of the server's jars. */
export async function startWithNeo4j(java: string, jars: string): Promise<Standalone> {
  const dataDir = makeDataDir();
  const env = {
    PATH: `${dirname(java)}:${process.env['PATH'] ?? ''}`,
    PODGATE_NEO4J_JARS: copyForPods(dataDir, jars),
  };
  return Standalone.start({ dataDir, env });
}
