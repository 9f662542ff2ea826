import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { install, Unavailable } from './run.ts';

const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
const release = 'trixie';

/**
 * A folder with packages of Debian 13, for either architecture, and all that they need, unpacked.
 * The packages of this machine stay as they are.
 */
export async function debianRoot(
  architecture: 'amd64' | 'arm64',
  ...packages: readonly string[]
): Promise<string> {
  if (!existsSync('/usr/bin/apt-get') || !existsSync(keys))
    throw new Unavailable(`this is no Debian machine, and ${packages.join(', ')} are packages`);
  return cached(
    ['debian', architecture, ...packages].join('-'),
    [import.meta.filename],
    async (folder) => {
      const apt = join(folder, 'apt');
      for (const each of ['lists/partial', 'archives/partial'])
        mkdirSync(join(apt, each), { recursive: true });
      // Nothing is installed there yet.
      writeFileSync(join(apt, 'status'), '');
      const source = `deb [signed-by=${keys}] http://deb.debian.org/debian ${release} main\n`;
      writeFileSync(join(apt, 'sources.list'), source);
      writeFileSync(join(apt, 'apt.conf'), settings(apt, architecture));
      const env = { APT_CONFIG: join(apt, 'apt.conf') };
      await install(['apt-get', '-q', 'update'], { env });
      const argv = ['apt-get', '-q', '-y', '--no-install-recommends', '--download-only', 'install'];
      await install([...argv, ...packages], { env });
      // Where Debian has all of it; packages still name the old places.
      for (const place of ['bin', 'lib', 'lib64', 'sbin'])
        mkdirSync(join(folder, 'usr', place), { recursive: true });
      await install(['ln', '-s', 'usr/bin', 'usr/lib', 'usr/lib64', 'usr/sbin', folder]);
      const archives = join(apt, 'archives');
      for (const file of readdirSync(archives).filter((each) => each.endsWith('.deb')))
        await install([
          'sh',
          '-c',
          `dpkg-deb --fsys-tarfile "$1" | tar -C "$2" -xp --keep-directory-symlink`,
          'sh',
          join(archives, file),
          folder,
        ]);
      rmSync(apt, { recursive: true });
    },
  );
}

const settings = (apt: string, architecture: string): string => `
APT::Architecture "${architecture}";
APT::Architectures { "${architecture}"; };
APT::Sandbox::User "root";
Dir::Etc::sourcelist "${apt}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "${apt}/lists";
Dir::State::status "${apt}/status";
Dir::Cache::archives "${apt}/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
`;
