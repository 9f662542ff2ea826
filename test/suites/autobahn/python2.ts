import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached } from '../../programs/cache.ts';
import { debian } from '../../programs/debian.ts';
import { bareInterpreter } from '../../programs/python.ts';
import { install, Unavailable } from '../../programs/run.ts';

/** A Python 2.7 of its own, because Debian's last is that of Debian 11: unpacked, not installed. */

const release = 'bullseye';
const version = '2.7.18-8+deb11u1';
const packages = [
  `libpython2.7-minimal=${version}`,
  `libpython2.7-stdlib=${version}`,
  `python2.7-minimal=${version}`,
  'libssl1.1',
  'libffi7',
];
const installers = ['pip==20.3.4', 'setuptools==44.1.1', 'wheel==0.37.1'];

export interface Python2 {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** The interpreter with the packages that `requirements` pins. */
export async function python2(requirements: string): Promise<Python2> {
  const folder = await cached('python2', [requirements, import.meta.filename], async (making) => {
    await unpackDebian(making);
    await unpackInstallers(making);
    const { argv, env } = interpreter(making, join(making, 'installers'));
    const pip = [...argv, '-m', 'pip', 'install', '-q', '--no-deps', '--target'];
    await install([...pip, join(making, 'site'), '-r', requirements], { env });
    // A package that pip spreads over two distributions has no such file in a target folder.
    writeFileSync(join(making, 'site', 'zope', '__init__.py'), '');
  });
  return interpreter(folder, `${join(folder, 'site')}:${join(folder, 'installers')}`);
}

function interpreter(folder: string, path: string): Python2 {
  const usr = join(folder, 'root', 'usr');
  const env = {
    LD_LIBRARY_PATH: join(usr, 'lib', 'x86_64-linux-gnu'),
    PYTHONHOME: usr,
    PYTHONPATH: path,
  };
  return { argv: [join(usr, 'bin', 'python2.7')], env };
}

/** Fetches the packages by an apt with lists of its own, so that the machine's stay as they are. */
async function unpackDebian(making: string): Promise<void> {
  if (process.arch !== 'x64') throw new Unavailable('Python 2.7 is fetched for x86-64 only');
  await debian('/usr/bin/apt-get', 'apt');
  const uris = (await install(['apt-get', 'indextargets', '--format', '$(REPO_URI)'])).split('\n');
  const uri = uris.find((line) => line.endsWith('/debian/'));
  if (!uri) throw new Unavailable('apt knows no Debian mirror');
  const [lists, debs] = [join(making, 'lists'), join(making, 'debs')];
  mkdirSync(join(lists, 'partial'), { recursive: true });
  mkdirSync(debs);
  const sources = join(making, 'sources.list');
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  writeFileSync(sources, `deb [signed-by=${keyring}] ${uri} ${release} main\n`);
  const settings = {
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '-',
    'Dir::State::Lists': lists,
    'APT::Sandbox::User': 'root',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  await install(['apt-get', '-q', ...options, 'update']);
  await install(['apt-get', '-q', ...options, 'download', ...packages], { cwd: debs });
  for (const deb of readdirSync(debs)) {
    await install(['dpkg', '-x', join(debs, deb), join(making, 'root')]);
  }
}

async function unpackInstallers(making: string): Promise<void> {
  const python = await bareInterpreter();
  const wheels = join(making, 'wheels');
  const fetch = [python, '-m', 'pip', 'download', '-q', '--no-deps', '-d', wheels];
  await install([...fetch, '--python-version', '2.7', '--only-binary', ':all:', ...installers]);
  for (const wheel of readdirSync(wheels)) {
    const folder = join(making, 'installers');
    await install([python, '-m', 'zipfile', '-e', join(wheels, wheel), folder]);
  }
}
