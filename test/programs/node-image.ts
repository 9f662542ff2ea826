import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import type { Engine } from './images.ts';
import { copyBusybox, copyProgram, makeImage, makeTmp } from './images.ts';
import { install } from './run.ts';

const trusted = '/etc/ssl/certs/ca-certificates.crt';

/**
 * In place of `node:26-slim`, which only a registry has: this very Node with this machine's npm, a
 * shell and its tools, the user `node`, and the authorities that this machine trusts.
 */
export async function makeNodeImage(engine: Engine): Promise<void> {
  const folder = join(engine.folder, 'node');
  const program = (await install(['sh', '-c', 'readlink -f "$(command -v npm)"'])).trim();
  await copyBusybox(folder);
  makeTmp(folder);
  await copyProgram(folder, process.execPath, '/usr/local/bin/node');
  const npm = '/usr/local/lib/node_modules/npm';
  cpSync(dirname(dirname(program)), join(folder, npm), { recursive: true, dereference: true });
  symlinkSync(`${npm}/bin/npm-cli.js`, join(folder, 'usr/local/bin/npm'));
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
  const environment = ['PATH=/usr/local/bin:/usr/bin:/bin', `NODE_EXTRA_CA_CERTS=${trusted}`];
  const changes = [...environment.map((each) => `ENV ${each}`), 'CMD ["node"]'];
  await makeImage(engine, 'docker.io/library/node:26-slim', folder, ...changes);
}
