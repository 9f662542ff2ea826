import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { debian } from './debian.ts';
import { install } from './run.ts';

/** Debian's Java; Debian 12 has 17. */
export const java = (): Promise<string> => debian('/usr/bin/java', 'default-jre-headless');

/**
 * A folder with the jars that `pom.xml` in `folder` asks for and all that they need. Every one of
 * them must be in `jars.sha256` beside it, with its checksum, and nothing else may come.
 */
export async function jars(name: string, folder: string): Promise<string> {
  const pom = join(folder, 'pom.xml');
  const sums = join(folder, 'jars.sha256');
  return cached(name, [pom, sums], async (making) => {
    await java();
    const maven = await debian('/usr/bin/mvn', 'maven');
    const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
    await install([maven, '-B', '-q', '-f', pom, goal, `-DoutputDirectory=${making}`]);
    const wanted = readFileSync(sums, 'utf8');
    const found = checksums(making);
    if (found !== wanted) throw new Error(`${sums} does not fit what was downloaded:\n${found}`);
  });
}

/** As `sha256sum *.jar` prints them. */
function checksums(folder: string): string {
  const lines = readdirSync(folder)
    .toSorted()
    .map((file) => {
      const hash = createHash('sha256').update(readFileSync(join(folder, file)));
      return `${hash.digest('hex')}  ${file}\n`;
    });
  return lines.join('');
}
