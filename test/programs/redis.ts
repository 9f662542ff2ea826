import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { debian } from './debian.ts';
import { freePort } from './ports.ts';

/** Debian's redis-server; installed if need be. */
export const redisProgram = (): Promise<string> => debian('/usr/bin/redis-server', 'redis-server');

const startMs = 20_000;

// As README asks for it.
const safe = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'always'];

/** A `redis-server` of a test's own on a free port of 127.0.0.1, with a folder for its data. */
export class RedisServer {
  readonly port: number;
  readonly folder = mkdtempSync(join(tmpdir(), 'podgate-redis-'));
  readonly #argv: readonly string[];
  readonly #password: string | undefined;
  #client: Redis | undefined;
  #child: ChildProcess | undefined;
  #output = '';

  private constructor(program: string, port: number, argv: readonly string[]) {
    const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', this.folder];
    this.port = port;
    this.#argv = [program, ...place, ...argv.map((word) => word.replace('$(PORT)', String(port)))];
    const at = argv.indexOf('--requirepass');
    this.#password = at < 0 ? undefined : argv[at + 1];
  }

  /** Keeps every answered write unless the further arguments, where $(PORT) is its, say otherwise. */
  static async start(program: string, ...argv: readonly string[]): Promise<RedisServer> {
    const server = new RedisServer(program, await freeNodePort(), [...safe, ...argv]);
    await server.start();
    return server;
  }

  /**
   * A Sentinel that watches the master at `port` as `main`; two of them start a failover. With passwords:
   * that of the servers, and that of all Sentinels.
   */
  static async sentinel(
    program: string,
    port: number,
    passwords?: { readonly servers: string; readonly sentinels: string },
  ): Promise<RedisServer> {
    const own = passwords ? ['--requirepass', passwords.sentinels] : [];
    const server = new RedisServer(program, await freeNodePort(), ['--sentinel', ...own]);
    const file = join(server.folder, 'sentinel.conf');
    const watched = [
      `monitor main 127.0.0.1 ${port} 2`,
      'down-after-milliseconds main 500',
      'failover-timeout main 2000',
      ...(passwords
        ? [`auth-pass main ${passwords.servers}`, `sentinel-pass ${passwords.sentinels}`]
        : []),
    ];
    writeFileSync(file, watched.map((line) => `sentinel ${line}\n`).join(''));
    await server.start(file);
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it, after `kill` with what its folder holds; resolves when it answers. */
  async start(...files: readonly string[]): Promise<void> {
    const [program = '', ...argv] = this.#argv;
    const child = spawn(program, [...files, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.#output = '';
    child.stdout.on('data', (chunk: Buffer) => (this.#output += chunk));
    child.stderr.on('data', (chunk: Buffer) => (this.#output += chunk));
    const deadlineMs = performance.now() + startMs;
    while (!/Ready to accept connections|Sentinel ID/.test(this.#output)) {
      if (child.exitCode !== null || performance.now() > deadlineMs) {
        throw new Error(`redis-server does not start: ${this.#output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** The test's own client, which waits while the server is away. */
  client(): Redis {
    const password = this.#password === undefined ? {} : { password: this.#password };
    this.#client ??= new Redis(this.url, { maxRetriesPerRequest: null, ...password }).on(
      'error',
      () => undefined,
    );
    return this.#client;
  }

  /** A signal to it; with one that ends it, resolves when it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await once(child, 'exit');
  }

  async stop(): Promise<void> {
    this.#client?.disconnect();
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A node of a cluster listens 10,000 above its port as well. */
async function freeNodePort(): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (port + 10_000 < 65_536) return port;
  }
}
