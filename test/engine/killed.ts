import process from 'node:process';
import { busyboxImage } from '../programs/images.ts';
import { Podman } from '../programs/podman.ts';

/** A test run that is killed while a container of its Podman has a port of this machine. */

const podman = await Podman.start();
const network = 'podgate-killed';
await podman.run('network', 'create', network);
const published = ['--network', network, '-p', '127.0.0.1::5000'];
await podman.run('run', '-d', '--name', 'left', ...published, busyboxImage, 'sleep', '600');
const port = (await podman.run('port', 'left', '5000')).trim().split(':').at(-1);
const id = (await podman.run('ps', '-q', '--no-trunc')).trim();
const link = (
  await podman.run('network', 'inspect', network, '-f', '{{.NetworkInterface}}')
).trim();
process.stdout.write(JSON.stringify({ folder: podman.folder, port, id, link }), () =>
  process.kill(process.pid, 'SIGKILL'),
);
