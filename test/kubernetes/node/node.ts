import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { systemClock } from '#adapters/system/clock.ts';
import { debian } from '../../programs/debian.ts';
import { own } from '../../programs/podman-leftovers.ts';
import { freePort } from '../../programs/ports.ts';
import { install, run, Unavailable } from '../../programs/run.ts';
import { endingWithUs } from '../children.ts';
import type { NodePlace } from './config.ts';
import { filesOf, networkOf } from './config.ts';
import { makePodImage, podImage } from './image.ts';
import { bridgeOf, clearNodes, nodePrefix, takeAway } from './leftovers.ts';
import { startRegistry } from './registry.ts';

const startMs = 30_000;
/** What a program of the node has said last, where it is at fault. */
const tailBytes = 1_500;

/**
 * A real kubelet with a real containerd as a node of this machine's. They and all containers are in
 * namespaces of mounts and of processes, and so end with this process, however that ends; the pods'
 * bridge is on this machine's network, where pods can be reached.
 */
export class RealNode {
  readonly #place: NodePlace;
  readonly #registry: Server;
  #child: ChildProcess | undefined;

  private constructor(place: NodePlace, registry: Server) {
    this.#place = place;
    this.#registry = registry;
  }

  /** `kubeconfig` is a file's contents. Throws `Unavailable` where it cannot run. */
  static async start(kubelet: string, kubeconfig: string): Promise<RealNode> {
    if (process.getuid?.() !== 0) throw new Unavailable('only root can run containerd');
    await installPrograms();
    await clearNodes();
    const folder = mkdtempSync(join(tmpdir(), nodePrefix));
    own(folder);
    const registry = await startRegistry();
    const place = {
      folder,
      address: await freeAddress(),
      bridge: bridgeOf(folder),
      port: await freePort(),
      image: podImage,
      registry: `127.0.0.1:${(registry.address() as AddressInfo).port}`,
    };
    const node = new RealNode(place, registry);
    try {
      await node.#start(kubelet, kubeconfig);
      return node;
    } catch (error) {
      await node.stop();
      throw error;
    }
  }

  /** The end of what its programs said. */
  get log(): string {
    return ['init.log', 'containerd.log', 'kubelet.log']
      .map((file) => this.#tailOf(file))
      .join('\n');
  }

  async stop(): Promise<void> {
    this.#registry.close();
    this.#registry.closeAllConnections();
    const child = this.#child;
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      // The first process of the node; with it the kernel ends all others.
      const [first] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(
        ' ',
      );
      process.kill(Number(first) || child.pid, 'SIGKILL');
      await exited;
    }
    await takeAway(this.#place.folder);
  }

  async #start(kubelet: string, kubeconfig: string): Promise<void> {
    const { folder, address, bridge } = this.#place;
    for (const [name, text] of Object.entries(filesOf(this.#place))) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    const user = join(folder, 'kubeconfig');
    writeFileSync(user, kubeconfig);
    await install(['ip', 'link', 'add', bridge, 'type', 'bridge']);
    await install(['ip', 'addr', 'add', `${address}/24`, 'dev', bridge]);
    await install(['ip', 'link', 'set', bridge, 'up']);
    const program = [
      kubelet,
      `--config=${join(folder, 'kubelet.yaml')}`,
      `--kubeconfig=${user}`,
      `--node-ip=${address}`,
      '--hostname-override=node',
    ];
    const apart = ['--mount', '--pid', '--fork', '--kill-child=KILL', '--mount-proc'];
    const init = ['sh', join(import.meta.dirname, 'init.sh'), folder, ...program];
    const [command, ...argv] = endingWithUs(['unshare', ...apart, ...init]);
    this.#child = spawn(command, argv, {
      stdio: ['ignore', 'ignore', openSync(join(folder, 'init.log'), 'w')],
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
    });
    await this.#import(await makePodImage(folder));
  }

  async #import(archive: string): Promise<void> {
    const socket = join(this.#place.folder, 'run/containerd/containerd.sock');
    const ctr = ['ctr', '-a', socket, '-n', 'k8s.io'];
    const deadlineMs = performance.now() + startMs;
    while ((await run([...ctr, 'version'])).code !== 0) {
      if (performance.now() > deadlineMs) throw new Unavailable(`containerd fails: ${this.log}`);
      await systemClock.sleep(100);
    }
    await install([...ctr, 'images', 'import', archive]);
  }

  #tailOf(file: string): string {
    try {
      return readFileSync(join(this.#place.folder, file), 'utf8').slice(-tailBytes);
    } catch {
      return '';
    }
  }
}

async function installPrograms(): Promise<void> {
  await debian('/usr/sbin/ip', 'iproute2');
  await debian('/usr/sbin/runc', 'runc');
  await debian('/usr/bin/containerd', 'containerd');
  await debian('/usr/lib/cni/bridge', 'containernetworking-plugins');
}

/** Of the networks for benchmarks (RFC 2544), which nobody routes. */
async function freeAddress(): Promise<string> {
  const taken = Object.values(networkInterfaces())
    .flat()
    .map((each) => networkOf({ address: each?.address ?? '' }));
  for (;;) {
    const address = `198.18.${Math.floor(Math.random() * 256)}.1`;
    if (!taken.includes(networkOf({ address }))) return address;
  }
}
