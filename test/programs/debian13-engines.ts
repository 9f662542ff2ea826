import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianRoot } from './debian-root.ts';
import { debian } from './debian.ts';
import { DockerApi } from './docker.ts';
import type { Engine } from './images.ts';
import { ownArchitecture } from './node-image.ts';
import { containersConf } from './podman.ts';
import { Unavailable } from './run.ts';

const packages = ['docker.io', 'podman', 'netavark', 'aardvark-dns', 'iptables'];

/** In its own mount namespace, with this machine's kernel, devices and temporary files. */
const within = `set -e
root=$1; cdi=$2; shift 2
mount --bind "$root" "$root"
for each in proc sys dev tmp run etc/cdi var/tmp old; do mkdir -p "$root/$each"; done
for each in proc sys dev tmp; do mount --rbind "/$each" "$root/$each"; done
mount -t tmpfs none "$root/run"
mount --bind "$cdi" "$root/etc/cdi"
: > "$root/etc/resolv.conf"
cd "$root"
pivot_root . old
exec "$@"`;

/**
 * An engine of Debian 13, on any Debian, with devices by these CDI specifications. Throws
 * `Unavailable` where it cannot be had or does not start.
 */
export async function startDebian13(name: 'Docker' | 'Podman', cdi: object): Promise<Engine> {
  if (ownArchitecture !== 'amd64') throw new Unavailable('only amd64 is looked at');
  if (process.getuid?.() !== 0) throw new Unavailable('only root can start it');
  // For the command by which tests speak to both.
  await debian('/usr/bin/docker', 'docker.io', 'iptables');
  const root = await debianRoot('amd64', ...packages);
  for (const each of ['iptables', 'ip6tables'])
    if (!existsSync(join(root, 'usr/sbin', each)))
      symlinkSync('xtables-nft-multi', join(root, 'usr/sbin', each));
  const engine = new Debian13();
  try {
    await engine.start(name, root, cdi);
    return engine;
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

class Debian13 extends DockerApi {
  async start(name: 'Docker' | 'Podman', root: string, cdi: object): Promise<void> {
    const specs = join(this.folder, 'cdi');
    mkdirSync(specs);
    writeFileSync(join(specs, 'gpu.json'), JSON.stringify(cdi));
    const enter = ['unshare', '-m', 'sh', '-c', within, 'sh', root, specs];
    const file = join(this.folder, 'engine.conf');
    if (name === 'Docker') {
      // From 28.3 on it is so by itself.
      writeFileSync(file, JSON.stringify({ features: { cdi: true } }));
      await this.begin([...enter, '/usr/sbin/dockerd', '--config-file', file, ...this.argv()]);
      return;
    }
    writeFileSync(file, containersConf(this.folder, 'firewall_driver = "iptables"'));
    const place = (each: string): string => join(this.folder, each);
    const places = ['--root', place('root'), '--runroot', place('runroot')];
    const argv = [
      ...places,
      '--network-config-dir',
      place('networks'),
      '--storage-driver',
      'overlay',
    ];
    const service = ['system', 'service', '-t', '0', `unix://${this.socket}`];
    const env = { ...process.env, HOME: this.folder, CONTAINERS_CONF: file };
    await this.begin([...enter, '/usr/bin/podman', ...argv, ...service], env);
  }
}
