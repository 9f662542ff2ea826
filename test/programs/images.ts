import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { root } from '../integration/standalone.ts';
import { debian } from './debian.ts';
import { postgres } from './postgres.ts';
import { run } from './run.ts';

/** Images for tests, made of this machine's own programs without any network. */

/** A container engine of a test's own. */
export interface Engine {
  readonly socket: string;
  /** For images on their way. */
  readonly folder: string;
  /** What a command of its prints. */
  run(...argv: readonly string[]): Promise<string>;
  /** Removes all containers. */
  clean(): Promise<void>;
  stop(): Promise<void>;
}

export const busyboxImage = 'localhost/busybox:1';
export const helloImage = 'localhost/hello:1';
export const postgresImage = 'localhost/postgres:15';

/** The shell and its tools. */
export async function makeBusyboxImage(engine: Engine): Promise<void> {
  const program = await debian('/bin/busybox', 'busybox-static');
  const folder = join(engine.folder, 'busybox');
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  copyFileSync(program, join(bin, 'busybox'));
  const { out } = await run([program, '--list']);
  for (const name of out
    .trim()
    .split('\n')
    .filter((each) => each !== 'busybox'))
    symlinkSync('busybox', join(bin, name));
  makeTmp(folder);
  await makeImage(engine, busyboxImage, folder, 'CMD ["/bin/sh"]', 'ENV PATH=/usr/local/bin:/bin');
}

/** Node and the example program, as `podgate/hello` is. */
export async function makeHelloImage(engine: Engine): Promise<void> {
  const folder = join(engine.folder, 'hello');
  await copyProgram(folder, process.execPath, '/node');
  cpSync(join(root, 'deploy/examples/hello'), join(folder, 'hello'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  makeTmp(folder);
  const command = 'ENTRYPOINT ["/node","/hello/main.ts"]';
  await makeImage(engine, helloImage, folder, command, 'ENV HELLO_HOST=0.0.0.0');
}

/** Debian's Postgres: makes a cluster of its own, whose superuser has `POSTGRES_PASSWORD`. */
export async function makePostgresImage(engine: Engine): Promise<void> {
  const programs = await postgres();
  const folder = join(engine.folder, 'postgres');
  makeTmp(folder);
  for (const name of ['postgres', 'initdb'])
    await copyProgram(folder, join(programs, name), join(programs, name));
  const version = basename(dirname(programs));
  for (const tree of [`/usr/share/postgresql/${version}`, `/usr/lib/postgresql/${version}/lib`])
    cpSync(tree, join(folder, tree), { recursive: true, dereference: true });
  for (const tree of ['/usr/share/zoneinfo', '/usr/share/postgresql/timezonesets'])
    if (existsSync(tree)) cpSync(tree, join(folder, tree), { recursive: true, dereference: true });
  await copyProgram(folder, '/bin/busybox', '/bin/sh');
  mkdirSync(join(folder, 'etc'));
  writeFileSync(join(folder, 'etc/passwd'), 'postgres:x:999:999::/tmp:/bin/sh\n');
  const script = [
    'set -e; cd /tmp; umask 077; printf %s "$POSTGRES_PASSWORD" > pw',
    `${programs}/initdb -D data -U postgres -A scram-sha-256 --pwfile=pw -N --locale=C >/dev/null`,
    'echo "host all all all scram-sha-256" >> data/pg_hba.conf',
    `rm pw; exec ${programs}/postgres -D data -h 0.0.0.0 -k ""`,
  ].join('; ');
  const command = `ENTRYPOINT ${JSON.stringify(['/bin/sh', '-c', script])}`;
  await makeImage(engine, postgresImage, folder, command, 'USER 999', 'STOPSIGNAL SIGINT');
}

/** A program at `place` in the folder, with the libraries that it is linked to. */
async function copyProgram(folder: string, program: string, place: string): Promise<void> {
  const copy = (from: string, to: string): void => {
    mkdirSync(dirname(join(folder, to)), { recursive: true });
    copyFileSync(realpathSync(from), join(folder, to));
  };
  copy(program, place);
  const { out } = await run(['ldd', program]);
  for (const [, library = ''] of out.matchAll(/(\/\S+\.so\S*) \(0x/g)) copy(library, library);
}

/** Not by the mode of `mkdir`, which the mask of this process cuts. */
function makeTmp(folder: string): void {
  mkdirSync(join(folder, 'tmp'), { recursive: true });
  chmodSync(join(folder, 'tmp'), 0o1777);
}

async function makeImage(
  engine: Engine,
  name: string,
  folder: string,
  ...changes: readonly string[]
): Promise<void> {
  const archive = `${folder}.tar`;
  await run(['tar', '-C', folder, '-cf', archive, '.'], { timeoutMs: 120_000 });
  await engine.run('import', ...changes.flatMap((change) => ['-c', change]), archive, name);
  rmSync(archive);
  rmSync(folder, { recursive: true });
}
