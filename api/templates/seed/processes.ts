import type { Seed } from './seed.ts';

/** Templates that run programs of the machine. */

/** Programs that were found on the machine; what is undefined is not there. */
export interface MachinePrograms {
  /** The folder of `initdb` and `postgres`. */
  readonly postgres: string | undefined;
  readonly neo4j: { readonly java: string; readonly jars: string } | undefined;
}

const password = '<<TAPIS_user_password>>';

export const processSeeds = (
  programs: MachinePrograms,
  publicHttpsPort: number,
): readonly Seed[] => [
  hello,
  ...(programs.postgres === undefined ? [] : [postgres(programs.postgres)]),
  ...(programs.neo4j === undefined ? [] : [neo4j(programs.neo4j, publicHttpsPort)]),
];

/** Runs beside containers as well. */
export const hello: Seed = {
  templateId: 'hello',
  description:
    'The example program of Podgate: HTTP, WebSocket, server-sent events, upload, download.',
  metatags: ['example'],
  definition: {
    image: 'podgate/hello',
    networking: { default: { protocol: 'http', port: 5000 } },
    resources: { cpu_request: 250, cpu_limit: 1000, mem_request: 256, mem_limit: 512 },
  },
};

/** Makes a cluster at the first start whose superuser is the pod's user. */
const postgresScript = `set -e
umask 077
if [ ! -e data/PG_VERSION ]; then
  printf %s "$POSTGRES_PASSWORD" > pw
  "$BIN/initdb" -D data -U "$POSTGRES_USER" -A scram-sha-256 --pwfile=pw -N >/dev/null
  rm pw
fi
exec "$BIN/postgres" -D data -h 127.0.0.1 -p "$PORT" -c unix_socket_directories=''
`;

const postgres = (folder: string): Seed => ({
  templateId: 'postgres',
  description:
    "PostgreSQL of this machine, over TLS with the pod's credentials; the database is called postgres.",
  metatags: ['database', 'sql'],
  definition: {
    image: 'podgate/process',
    command: ['sh', '-c', postgresScript],
    environment_variables: {
      BIN: folder,
      POSTGRES_USER: '<<TAPIS_user_username>>',
      POSTGRES_PASSWORD: password,
    },
    networking: { default: { protocol: 'postgres', port: 5432 } },
    resources: { cpu_request: 500, cpu_limit: 2000, mem_request: 512, mem_limit: 2048 },
  },
});

/** Writes the server's configuration, sets the first password and starts it. */
const neo4jScript = `set -e
mkdir -p conf
cat > conf/neo4j.conf <<END
server.bolt.listen_address=127.0.0.1:$PORT
server.bolt.advertised_address=$ADDRESS
server.http.enabled=false
server.https.enabled=false
dbms.usage_report.enabled=false
server.memory.pagecache.size=32m
END
export NEO4J_HOME="$PWD" NEO4J_CONF="$PWD/conf"
[ -e data/dbms ] || "$JAVA" -cp "$JARS/*" org.neo4j.server.startup.Neo4jAdminCommand \\
  dbms set-initial-password "$NEO4J_PASSWORD"
exec "$JAVA" -Xmx512m -XX:+UseSerialGC -cp "$JARS/*" \\
  --add-opens java.base/java.nio=ALL-UNNAMED --add-opens java.base/java.io=ALL-UNNAMED \\
  --add-opens java.base/sun.nio.ch=ALL-UNNAMED \\
  --add-opens java.base/java.util.concurrent=ALL-UNNAMED \\
  org.neo4j.server.CommunityEntryPoint --home-dir="$PWD" --config-dir="$PWD/conf"
`;

const neo4j = (
  { java, jars }: NonNullable<MachinePrograms['neo4j']>,
  publicHttpsPort: number,
): Seed => ({
  templateId: 'neo4j',
  description:
    "Neo4j of this machine: bolt+s on the pod's address as user neo4j with the pod's password.",
  metatags: ['database', 'graph'],
  definition: {
    image: 'podgate/process',
    command: ['sh', '-c', neo4jScript],
    environment_variables: {
      JAVA: java,
      JARS: jars,
      NEO4J_PASSWORD: password,
      ADDRESS: `<<TAPIS_pod_host>>:${publicHttpsPort}`,
    },
    networking: { default: { protocol: 'tcp', port: 7687 } },
    resources: { cpu_request: 1000, cpu_limit: 2000, mem_request: 1024, mem_limit: 2048 },
  },
});
