import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import { connect } from '@nats-io/transport-node';
import type { Line } from '#adapters/nats/line.ts';
import { debian } from './debian.ts';
import { freePort } from './ports.ts';

/** Debian's nats-server; installed if need be. */
export const natsProgram = (): Promise<string> => debian('/usr/sbin/nats-server', 'nats-server');

const startMs = 20_000;

/** A `nats-server` with JetStream of a test's own on a free port of 127.0.0.1. */
export class NatsServer {
  readonly port: number;
  readonly folder = mkdtempSync(join(tmpdir(), 'podgate-nats-'));
  readonly #program: string;
  readonly #configuration: string;
  #child: ChildProcess | undefined;
  #output = '';

  private constructor(program: string, port: number, configuration: string) {
    this.port = port;
    this.#program = program;
    this.#configuration = `
host: 127.0.0.1
port: ${port}
jetstream { store_dir: ${JSON.stringify(this.#data)} }
${configuration.replaceAll('$(FOLDER)', this.folder)}
`;
  }

  /** Further lines of its configuration may name its folder, which is there, as $(FOLDER). */
  static async start(program: string, configuration = ''): Promise<NatsServer> {
    const server = new NatsServer(program, await freePort(), configuration);
    await server.start();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get #data(): string {
    return join(this.folder, 'jetstream');
  }

  /** Starts it, after `kill` with what its folder holds; resolves when it takes connections. */
  async start(): Promise<void> {
    const file = join(this.folder, 'nats.conf');
    writeFileSync(file, this.#configuration);
    const child = spawn(this.#program, ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    this.#output = '';
    child.stderr.on('data', (chunk: Buffer) => (this.#output += chunk));
    const deadlineMs = performance.now() + startMs;
    while (!this.#output.includes('Server is ready')) {
      if (child.exitCode !== null || performance.now() > deadlineMs) {
        throw new Error(`nats-server does not start: ${this.#output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** A signal to it; with one that ends it, resolves when it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await once(child, 'exit');
  }

  /** While it is not running: what JetStream kept is lost. */
  forget(): void {
    rmSync(this.#data, { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** As what the adapters take. */
export const lineOf = (connection: NatsConnection): Line => ({
  connection,
  connected: async () => connection,
});

/** The connections of a test, one for each program it plays; they come back when the server does. */
export class Lines {
  readonly #server: NatsServer;
  readonly #open: NatsConnection[] = [];

  constructor(server: NatsServer) {
    this.#server = server;
  }

  async dial(): Promise<NatsConnection> {
    const terms = { reconnectTimeWait: 20, maxReconnectAttempts: -1 };
    const connection = await connect({ servers: this.#server.url, ...terms });
    this.#open.push(connection);
    return connection;
  }

  async hangUp(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((connection) => connection.close()));
  }
}
