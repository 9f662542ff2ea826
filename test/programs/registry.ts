import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debian } from './debian.ts';
import { freePort } from './redis.ts';

const startMs = 20_000;

/** Debian's registry of images, on a free port of 127.0.0.1, without TLS. */
export class ImageRegistry {
  readonly server: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'podgate-registry-'));
  readonly #child: ChildProcess;

  private constructor(program: string, port: number, htpasswd: string | undefined) {
    this.server = `127.0.0.1:${port}`;
    const file = join(this.#folder, 'config.yml');
    const users = join(this.#folder, 'htpasswd');
    mkdirSync(join(this.#folder, 'data'));
    if (htpasswd) writeFileSync(users, `${htpasswd}\n`);
    const auth = htpasswd ? { auth: { htpasswd: { realm: 'test', path: users } } } : {};
    // YAML reads JSON.
    const config = {
      version: 0.1,
      log: { level: 'error' },
      storage: { filesystem: { rootdirectory: join(this.#folder, 'data') } },
      http: { addr: this.server },
      ...auth,
    };
    writeFileSync(file, JSON.stringify(config));
    this.#child = spawn(program, ['serve', file], { stdio: 'ignore' });
  }

  /** `htpasswd` is a line `user:bcrypt` of who may come in; undefined: everybody. */
  static async start(htpasswd?: string): Promise<ImageRegistry> {
    const program = await debian('/usr/bin/docker-registry', 'docker-registry');
    const port = await freePort();
    const registry = new ImageRegistry(program, port, htpasswd);
    const deadlineMs = performance.now() + startMs;
    while (!(await accepts(port))) {
      if (performance.now() > deadlineMs) throw new Error('docker-registry does not start');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return registry;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'exit');
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
