import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debian } from './debian.ts';
import type { Engine } from './images.ts';
import { busyboxImage, makeBusyboxImage } from './images.ts';
import {
  deleteStaleRules,
  endProcessesOf,
  folderPrefix,
  orphanedFolders,
  own,
} from './podman-leftovers.ts';
import { run, Unavailable } from './run.ts';

/** What this kind of machine (a container or VM without systemd) needs to be told; `network`: lines more. */
export const containersConf = (folder: string, network = ''): string => `
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "${folder}/tmp"
[network]
network_backend = "netavark"
${network}
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
`;

// Registries of tests have no TLS.
const registriesConf = `
[[registry]]
prefix = "127.0.0.1"
location = "127.0.0.1"
insecure = true
`;

const program = '/usr/bin/podman';
const startMs = 30_000;

/** Debian's Podman with all that it needs; installed if need be. */
async function installPodman(): Promise<void> {
  await debian('/usr/sbin/runc', 'runc');
  await debian('/usr/lib/podman/netavark', 'netavark');
  await debian('/usr/lib/podman/aardvark-dns', 'aardvark-dns');
  await debian('/usr/sbin/iptables', 'iptables');
  await debian(program, 'podman');
}

/** A Podman of a test's own, that answers on a socket and keeps everything in one folder. */
export class Podman implements Engine {
  readonly folder: string;
  readonly socket: string;
  readonly #argv: readonly string[];
  #child: ChildProcess | undefined;

  private constructor(folder: string) {
    this.folder = folder;
    this.socket = join(folder, 'podman.sock');
    writeFileSync(join(folder, 'containers.conf'), containersConf(folder));
    writeFileSync(join(folder, 'registries.conf'), registriesConf);
    const place = ['root', 'runroot', 'networks'].map((name) => join(this.folder, name));
    const [store = '', state = '', networks = ''] = place;
    this.#argv = [
      program,
      '--root',
      store,
      '--runroot',
      state,
      '--network-config-dir',
      networks,
      '--storage-driver',
      'overlay',
    ];
  }

  /** Throws `Unavailable` where containers cannot run at all. */
  static async start(): Promise<Podman> {
    await installPodman();
    await Podman.clearLeftovers();
    const podman = new Podman(mkdtempSync(join(tmpdir(), folderPrefix)));
    try {
      own(podman.folder);
      await podman.start();
      await podman.#tryOut();
      return podman;
    } catch (error) {
      await podman.stop();
      throw error;
    }
  }

  /**
   * Ends and takes away what test runs left that were killed: rules for ports of theirs would send
   * whoever is given such a port to nowhere.
   */
  static async clearLeftovers(): Promise<void> {
    for (const folder of orphanedFolders()) {
      process.stderr.write(`The Podman of a test run that was killed is taken away: ${folder}\n`);
      await new Podman(folder).stop();
    }
    await deleteStaleRules();
  }

  /** As `DOCKER_HOST` has it. */
  get host(): string {
    return `unix://${this.socket}`;
  }

  /** Starts the service, after `kill` on what it left; containers are no children of it. */
  async start(): Promise<void> {
    rmSync(this.socket, { force: true });
    const [, ...argv] = this.#argv;
    const child = spawn(program, [...argv, 'system', 'service', '-t', '0', this.host], {
      env: this.#env,
      // Where its helpers leave what they have to say.
      cwd: this.folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let problem = '';
    child.stderr.on('data', (chunk: Buffer) => (problem += chunk));
    this.#child = child;
    const deadlineMs = performance.now() + startMs;
    while (!existsSync(this.socket)) {
      if (child.exitCode !== null || performance.now() > deadlineMs)
        throw new Unavailable(`podman system service does not start: ${problem}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The service ends; what runs in containers goes on. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** What a command prints. */
  async run(...argv: readonly string[]): Promise<string> {
    const { code, out, err } = await run([...this.#argv, ...argv], {
      env: this.#env,
      timeoutMs: 300_000,
    });
    if (code !== 0) throw new Error(`podman ${argv[0]} ended with ${code}: ${err}`);
    return out;
  }

  async clean(): Promise<void> {
    await this.run('rm', '-f', '-a', '-t', '0');
  }

  /** Ends all containers and takes everything away. */
  async stop(): Promise<void> {
    await this.clean().catch(() => undefined);
    await this.run('network', 'prune', '-f').catch(() => undefined);
    await this.kill();
    endProcessesOf(this.folder);
    await run(['umount', '-l', join(this.folder, 'root/overlay')]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #env(): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'],
      HOME: this.folder,
      CONTAINERS_CONF: join(this.folder, 'containers.conf'),
      CONTAINERS_REGISTRIES_CONF: join(this.folder, 'registries.conf'),
    };
  }

  /** Kernels and sandboxes differ in what they allow; only trying tells. */
  async #tryOut(): Promise<void> {
    await makeBusyboxImage(this);
    try {
      await this.run('network', 'create', 'try');
      await this.run('run', '--rm', '--network', 'try', '-m', '64m', busyboxImage, 'true');
      await this.run('network', 'rm', 'try');
    } catch (error) {
      throw new Unavailable(`no container can run here: ${String(error)}`);
    }
  }
}
