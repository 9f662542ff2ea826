import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debian } from './debian.ts';
import type { Engine } from './images.ts';
import { run, Unavailable } from './run.ts';

const startMs = 30_000;

/** A Docker of a test's own, from Debian, that keeps everything in one folder. */
export class Docker implements Engine {
  readonly folder = mkdtempSync(join(tmpdir(), 'podgate-docker-'));
  readonly socket = join(this.folder, 'docker.sock');
  #child: ChildProcess | undefined;

  /** Throws `Unavailable` where the daemon does not start. */
  static async start(): Promise<Docker> {
    const program = await debian('/usr/sbin/dockerd', 'docker.io', 'iptables');
    const docker = new Docker();
    try {
      await docker.#start(program);
      return docker;
    } catch (error) {
      await docker.stop();
      throw error;
    }
  }

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

  async #start(program: string): Promise<void> {
    const place = (name: string): string => join(this.folder, name);
    const argv = ['--host', `unix://${this.socket}`, '--data-root', place('root')];
    argv.push('--exec-root', place('exec'), '--pidfile', place('pid'), '--bridge', 'none');
    argv.push('--default-ulimit', 'nofile=1024:1024', '--default-ulimit', 'nproc=1024:1024');
    const child = spawn(program, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    let problem = '';
    child.stderr.on('data', (chunk: Buffer) => {
      problem = (problem + String(chunk)).slice(-500);
    });
    const deadlineMs = performance.now() + startMs;
    while (!existsSync(this.socket) || !problem.includes('API listen on')) {
      if (child.exitCode !== null || performance.now() > deadlineMs)
        throw new Unavailable(`dockerd does not start: ${problem}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
