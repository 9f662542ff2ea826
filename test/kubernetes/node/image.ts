import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { copyBusybox, copyProgram, makeTmp } from '../../programs/images.ts';
import { install } from '../../programs/run.ts';

/** Of pods and of what holds their networks: no registry has it, and nobody needs one. */
export const podImage = 'localhost/podgate-pod:1';

/** Nodes call the machine as Go does. */
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** A shell, its tools and Node, for a user that is not root, in an archive as `docker save` makes it. */
export async function makePodImage(folder: string): Promise<string> {
  const [files, parts] = [join(folder, 'files'), join(folder, 'parts')];
  mkdirSync(parts, { recursive: true });
  await copyBusybox(files);
  makeTmp(files);
  await copyProgram(files, process.execPath, '/usr/local/bin/node');
  const layer = join(parts, 'layer.tar');
  await tar(files, layer, '.');
  const hash = createHash('sha256');
  await pipeline(createReadStream(layer), hash);
  const config = {
    architecture: architectures[process.arch] ?? process.arch,
    os: 'linux',
    config: {
      User: '65532',
      Env: ['PATH=/usr/local/bin:/bin'],
      Cmd: ['/bin/tail', '-f', '/dev/null'],
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${hash.digest('hex')}`] },
  };
  const manifest = [{ Config: 'config.json', RepoTags: [podImage], Layers: ['layer.tar'] }];
  writeFileSync(join(parts, 'config.json'), JSON.stringify(config));
  writeFileSync(join(parts, 'manifest.json'), JSON.stringify(manifest));
  const archive = join(folder, 'image.tar');
  await tar(parts, archive, 'manifest.json', 'config.json', 'layer.tar');
  return archive;
}

const tar = (from: string, to: string, ...names: readonly string[]): Promise<string> =>
  install(['tar', '--owner=0', '--group=0', '-C', from, '-cf', to, ...names]);
