import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { debian } from './debian.ts';
import type { Engine } from './images.ts';
import { run, Unavailable } from './run.ts';

const startMs = 30_000;

/** An engine of a test's own that Docker's command talks to, and that keeps everything in one folder. */
export abstract class DockerApi implements Engine {
  readonly folder = mkdtempSync(join(tmpdir(), 'podgate-docker-'));
  readonly socket = join(this.folder, 'docker.sock');
  #child: ChildProcess | undefined;

  async run(...argv: readonly string[]): Promise<string> {
    const command = ['/usr/bin/docker', '-H', `unix://${this.socket}`, ...argv];
    const { code, out, err } = await run(command, { timeoutMs: 120_000 });
    if (code !== 0) throw new Error(`docker ${argv[0]} ended with ${code}: ${err}`);
    return out;
  }

  async clean(): Promise<void> {
    const containers = (await this.run('ps', '-a', '-q')).trim();
    if (containers === '') return;
    await this.run('rm', '-f', '-v', ...containers.split('\n')).catch((error: unknown) => {
      // Podgate was about to do so.
      if (!String(error).includes('already in progress')) throw error;
    });
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child && child.exitCode === null) {
      await this.clean().catch(() => undefined);
      await this.run('network', 'prune', '-f').catch(() => undefined);
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Starts the engine; throws `Unavailable` where it does not answer. */
  protected async begin(argv: readonly string[], env = process.env): Promise<void> {
    const [program = '', ...rest] = argv;
    const child = spawn(program, rest, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    let problem = '';
    child.stderr.on('data', (chunk: Buffer) => {
      problem = (problem + String(chunk)).slice(-500);
    });
    const deadlineMs = performance.now() + startMs;
    while (!existsSync(this.socket) || !(await this.#answers())) {
      if (child.exitCode !== null || performance.now() > deadlineMs)
        throw new Unavailable(`${argv.join(' ')} does not start: ${problem}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** What a Docker daemon is told. */
  protected argv(): string[] {
    const place = (name: string): string => join(this.folder, name);
    const argv = ['--host', `unix://${this.socket}`, '--data-root', place('root')];
    argv.push('--exec-root', place('exec'), '--pidfile', place('pid'), '--bridge', 'none');
    argv.push('--default-ulimit', 'nofile=1024:1024', '--default-ulimit', 'nproc=1024:1024');
    return argv;
  }

  #answers(): Promise<boolean> {
    return this.run('version').then(
      () => true,
      () => false,
    );
  }
}

/** Debian's Docker. */
export class Docker extends DockerApi {
  /** With programs of this folder in its path. Throws `Unavailable` where the daemon does not start. */
  static async start(programs?: string): Promise<Docker> {
    const program = await debian('/usr/sbin/dockerd', 'docker.io', 'iptables');
    const docker = new Docker();
    const path = [...(programs ? [programs] : []), process.env['PATH']].join(':');
    try {
      await docker.begin([program, ...docker.argv()], { ...process.env, PATH: path });
      return docker;
    } catch (error) {
      await docker.stop();
      throw error;
    }
  }
}
