// Runs a TypeScript program of this repository on a machine that has only Node 20 or newer and npm:
//   node deploy/with-node.mjs <program.ts> [--dev] [arguments ...]
// It installs what package-lock.json asks for when that is missing (`--dev`: the tools as well) and
// uses the machine's own Node when it is new enough, else the one from the `node` npm package.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const nodeMajorMin = 26;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, 'node_modules', '.podgate-installed');

/** 'all' serves a caller that needs only 'production', never the other way round. */
function installed(wanted, lock) {
  if (!existsSync(stamp)) return false;
  const [hash, kind] = readFileSync(stamp, 'utf8').trim().split(' ');
  return hash === lock && (kind === 'all' || kind === wanted);
}

/** A minimal Debian has no libatomic1, which the Node of the npm package needs to be loaded. */
const notLoaded = 127;
const notLoadedHint = 'Node 26 cannot be loaded here. On Debian: apt-get install libatomic1\n';

function install(wanted) {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (installed(wanted, lock)) return;
  process.stderr.write('Installing npm packages, once ...\n');
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  // Not `npm ci`: it refuses a lock file without the builds of a tool for other platforms, and
  // registry mirrors lack some of those. Versions and checksums are those of the lock file all the same.
  const argv = [...first, 'install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  if (wanted === 'production') argv.push('--omit=dev');
  const done = spawnSync(command, argv, { cwd: root, stdio: ['ignore', 2, 2] });
  if (done.status !== 0) {
    const hint = done.status === notLoaded ? notLoadedHint : 'Is the npm registry reachable?\n';
    process.stderr.write(`npm install failed: see the lines above. ${hint}`);
    process.exit(1);
  }
  writeFileSync(stamp, `${lock} ${wanted}\n`);
}

function nodeBinary() {
  if (Number(process.versions.node.split('.')[0]) >= nodeMajorMin) return process.execPath;
  return join(root, 'node_modules', 'node', 'bin', 'node');
}

const [program, ...rest] = process.argv.slice(2);
install(rest.includes('--dev') ? 'all' : 'production');
const child = spawn(
  nodeBinary(),
  [join(root, program), ...rest.filter((argument) => argument !== '--dev')],
  { stdio: 'inherit' },
);
// Ctrl-C reaches the whole process group anyway; a supervisor's signal reaches only this process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  if (code === notLoaded) process.stderr.write(notLoadedHint);
  process.exit(signal ? 1 : (code ?? 1));
});
