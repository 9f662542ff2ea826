import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../integration/standalone.ts';
import { debian } from './debian.ts';
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

/** The shell and its tools. */
export async function makeBusyboxImage(engine: Engine): Promise<void> {
  const folder = join(engine.folder, 'busybox');
  await copyBusybox(folder);
  makeTmp(folder);
  await makeImage(engine, busyboxImage, folder, 'CMD ["/bin/sh"]', 'ENV PATH=/usr/local/bin:/bin');
}

/** Into `/bin`, under the names of all its tools; `other` is one for another platform. */
export async function copyBusybox(folder: string, other?: string): Promise<void> {
  const program = await debian('/bin/busybox', 'busybox-static');
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  copyFileSync(other ?? program, join(bin, 'busybox'));
  const { out } = await run([program, '--list']);
  for (const name of out
    .trim()
    .split('\n')
    .filter((each) => each !== 'busybox'))
    symlinkSync('busybox', join(bin, name));
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

/** A program at `place` in the folder, with the libraries that it is linked to. */
export async function copyProgram(folder: string, program: string, place: string): Promise<void> {
  copy(folder, program, place);
  await copyLibraries(folder, [program]);
}

/** The libraries that programs, or libraries, are linked to, in the places they have here. */
export async function copyLibraries(folder: string, programs: readonly string[]): Promise<void> {
  const { out } = await run(['ldd', ...programs]);
  const found = [...out.matchAll(/(\/\S+\.so\S*) \(0x/g)].map(([, library = '']) => library);
  for (const library of new Set(found)) copy(folder, library, library);
}

function copy(folder: string, from: string, to: string): void {
  mkdirSync(dirname(join(folder, to)), { recursive: true });
  copyFileSync(realpathSync(from), join(folder, to));
}

/** Not by the mode of `mkdir`, which the mask of this process cuts. */
export function makeTmp(folder: string): void {
  mkdirSync(join(folder, 'tmp'), { recursive: true });
  chmodSync(join(folder, 'tmp'), 0o1777);
}

export async function makeImage(
  engine: Engine,
  name: string,
  folder: string,
  ...changes: readonly string[]
): Promise<void> {
  await importFolder(
    engine,
    folder,
    changes.flatMap((change) => ['-c', change]),
    name,
  );
}

/** The folder becomes an image, and is gone. */
export async function importFolder(
  engine: Engine,
  folder: string,
  flags: readonly string[],
  name: string,
): Promise<void> {
  const archive = `${folder}.tar`;
  await run(['tar', '-C', folder, '-cf', archive, '.'], { timeoutMs: 120_000 });
  await engine.run('import', ...flags, archive, name);
  rmSync(archive);
  rmSync(folder, { recursive: true });
}
