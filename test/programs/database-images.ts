import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { copyLibraries, copyProgram, makeImage, makeTmp } from './images.ts';
import type { Engine } from './images.ts';
import { postgres } from './postgres.ts';

/**
 * Databases for the templates that come with Podgate, under the names of the images on Docker Hub.
 * As those they would be root, keep their data in a volume that belongs to a user of theirs, and take
 * their settings from the environment; unlike those they cannot become that user by themselves.
 */

const refuseRoot = '[ "$(id -u)" != 0 ] || { echo "runs as root"; exit 1; }';

/** Debian's Postgres, whatever its version. */
export async function makePostgresImage(engine: Engine): Promise<void> {
  const programs = await postgres();
  const folder = join(engine.folder, 'postgres');
  makeTmp(folder);
  for (const name of ['postgres', 'initdb'])
    await copyProgram(folder, join(programs, name), join(programs, name));
  const version = basename(dirname(programs));
  for (const tree of [`/usr/share/postgresql/${version}`, `/usr/lib/postgresql/${version}/lib`])
    copyTree(folder, tree);
  for (const tree of ['/usr/share/zoneinfo', '/usr/share/postgresql/timezonesets'])
    copyTree(folder, tree);
  await copyProgram(folder, '/bin/busybox', '/bin/sh');
  const data = '/var/lib/postgresql/data';
  addUser(folder, { name: 'postgres', id: 999, owns: [data] });
  const script = [
    'set -e; umask 077',
    refuseRoot,
    'cd /tmp; printf %s "$POSTGRES_PASSWORD" > pw',
    `${programs}/initdb -D ${data} -U "$POSTGRES_USER" -A scram-sha-256 --pwfile=pw -N --locale=C >/dev/null`,
    `echo "host all all all scram-sha-256" >> ${data}/pg_hba.conf`,
    `rm pw; exec ${programs}/postgres -D ${data} -h 0.0.0.0 -k ""`,
  ].join('; ');
  const changes = [`VOLUME ${data}`, 'STOPSIGNAL SIGINT', entrypoint(script)];
  await makeImage(engine, 'docker.io/library/postgres:17', folder, ...changes);
}

const neo4jHome = '/var/lib/neo4j';
/** `NEO4J_server_bolt_x__y` is the setting `server.bolt.x_y`. */
const neo4jScript = `set -e
${refuseRoot}
cd ${neo4jHome}
printf 'server.default_listen_address=0.0.0.0\\nserver.memory.pagecache.size=32m\\n' > conf/neo4j.conf
env | while IFS='=' read -r name value; do
  case "$name" in
    NEO4J_[a-z]*)
      key=$(echo "\${name#NEO4J_}" | sed 's/__/~/g; s/_/./g; s/~/_/g')
      echo "$key=$value" >> conf/neo4j.conf ;;
  esac
done
NEO4J_HOME="$PWD" NEO4J_CONF="$PWD/conf" "$JAVA" -cp 'jars/*' \\
  org.neo4j.server.startup.Neo4jAdminCommand dbms set-initial-password "\${NEO4J_AUTH#*/}"
exec "$JAVA" -Xmx512m -XX:+UseSerialGC -cp 'jars/*' \\
  --add-opens java.base/java.nio=ALL-UNNAMED --add-opens java.base/java.io=ALL-UNNAMED \\
  --add-opens java.base/sun.nio.ch=ALL-UNNAMED \\
  --add-opens java.base/java.util.concurrent=ALL-UNNAMED \\
  org.neo4j.server.CommunityEntryPoint --home-dir="$PWD" --config-dir="$PWD/conf"
`;

/** Neo4j by its jars from Maven, with this machine's Java in its own place. */
export async function makeNeo4jImage(engine: Engine, java: string, jars: string): Promise<void> {
  const folder = join(engine.folder, 'neo4j');
  const javaHome = dirname(dirname(realpathSync(java)));
  makeTmp(folder);
  await copyProgram(folder, '/bin/busybox', '/bin/sh');
  copyTree(folder, javaHome);
  const files = readdirSync(javaHome, { recursive: true, encoding: 'utf8' });
  const libraries = files.filter((file) => file.endsWith('.so'));
  await copyLibraries(
    folder,
    ['bin/java', ...libraries].map((file) => join(javaHome, file)),
  );
  cpSync(jars, join(folder, neo4jHome, 'jars'), { recursive: true });
  const owns = ['conf', 'data', 'logs'].map((name) => join(neo4jHome, name));
  addUser(folder, { name: 'neo4j', id: 7474, owns });
  const environment = `ENV JAVA=${join(javaHome, 'bin/java')}`;
  await makeImage(
    engine,
    'docker.io/library/neo4j:5',
    folder,
    environment,
    entrypoint(neo4jScript),
  );
}

const entrypoint = (script: string): string =>
  `ENTRYPOINT ${JSON.stringify(['/bin/sh', '-c', script])}`;

const isThere = (path: string): boolean => existsSync(path);

/** A tree in its own place; Debian's have links to what other packages would bring. */
function copyTree(folder: string, tree: string): void {
  cpSync(tree, join(folder, tree), { recursive: true, dereference: true, filter: isThere });
}

/** A user with folders that nobody else may use. */
function addUser(
  folder: string,
  { name, id, owns }: { name: string; id: number; owns: readonly string[] },
): void {
  mkdirSync(join(folder, 'etc'), { recursive: true });
  writeFileSync(join(folder, 'etc/passwd'), `${name}:x:${id}:${id}::/tmp:/bin/sh\n`);
  for (const path of owns) {
    mkdirSync(join(folder, path), { recursive: true });
    chmodSync(join(folder, path), 0o700);
    chownSync(join(folder, path), id, id);
  }
}
