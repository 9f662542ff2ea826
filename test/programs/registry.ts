import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listening } from '../gateway-examples.ts';
import { debian } from './debian.ts';
import { accepts, freePort } from './ports.ts';

const startMs = 20_000;

/** As a registry wants it of who may come in: ada, with the password "secret". */
export const onlyAda = 'ada:$2b$05$K1AyxqczTDSnmL3T5jPZ3.txRq.9A.FjcYpunlcR1ps7pI4EV7.ze';

/** Debian's registry of images, on a free port of 127.0.0.1, without TLS. */
export class ImageRegistry {
  readonly server: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'podgate-registry-'));
  readonly #child: ChildProcess;
  readonly #proxies: net.Server[] = [];

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

  /** Another name of it, by which not more than so many bytes come in a second. */
  async slowly(bytesPerSecond: number): Promise<string> {
    const [host, port] = this.server.split(':');
    const proxy = net.createServer((client) => {
      const registry = net.connect(Number(port), host);
      const ended = (): unknown => client.destroy() && registry.destroy();
      for (const socket of [client, registry]) socket.on('error', ended).on('close', ended);
      client.pipe(registry);
      registry.on('data', (chunk: Buffer) => {
        client.write(chunk);
        registry.pause();
        setTimeout(() => registry.resume(), (1_000 * chunk.length) / bytesPerSecond);
      });
    });
    this.#proxies.push(proxy);
    return `127.0.0.1:${await listening(proxy)}`;
  }

  async stop(): Promise<void> {
    for (const proxy of this.#proxies) proxy.close();
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'exit');
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
