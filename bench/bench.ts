import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Route } from '#contracts/route.ts';
import { systemClock } from '#adapters/system/clock.ts';
import type { ServingTerms } from '../gateway/messages.ts';
import { makeIdentity } from '../test/edge.ts';
import { exampleRoute } from '../test/gateway-examples.ts';
import { withHosts } from '../test/programs/hosts.ts';
import { freePort } from '../test/programs/ports.ts';
import type { GatewayRun } from './gateway/main.ts';
import { cores, Processes } from './machine/processes.ts';
import { treeOf } from './machine/usage.ts';
import { caddy } from './peers/caddy.ts';
import { haproxy } from './peers/haproxy.ts';
import { nginx, nginxUpstream } from './peers/nginx.ts';
import { configurableHttpProxy, httpProxy3 } from './peers/node-peers.ts';
import type { Peer, PeerSettings } from './peers/peer.ts';
import { podHost } from './peers/peer.ts';

const peers: Readonly<Record<string, Peer>> = {
  nginx,
  haproxy,
  caddy,
  'http-proxy-3': httpProxy3,
  'configurable-http-proxy': configurableHttpProxy,
};

/** Something that is measured: a program that listens, with all its processes. */
export interface Subject {
  readonly name: string;
  readonly port: number;
  readonly child: ChildProcess;
  /** As they are now: a gateway whose worker was replaced has others. */
  pids(): readonly number[];
}

export interface GatewayOptions {
  /** In the report; 'podgate' is what targets are about. */
  readonly name?: string;
  readonly route?: Partial<Route>;
  readonly others?: number;
  /** Counts no requests: nothing that a user could have. */
  readonly uncounted?: boolean;
  readonly terms?: Partial<ServingTerms>;
  readonly stored?: GatewayRun['stored'];
  /** Where it keeps its files, beside the others' when it is not told. */
  readonly folder?: string;
  readonly upstreamPort: number;
}

export type PeerOptions = Partial<Pick<PeerSettings, 'mode' | 'accessLog' | 'gzip'>> & {
  readonly name?: string;
  readonly upstreamPort: number;
};

const readyMs = 60_000; // 100,000 certificates and 4,000 connections take their time

/** One question's surroundings: its folder, its certificate, its programs; all gone with `close`. */
export class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), 'podgate-bench-'));
  readonly processes = new Processes(this.folder);
  readonly #chain = join(this.folder, 'chain.pem');
  readonly #key = join(this.folder, 'key.pem');
  readonly #both = join(this.folder, 'both.pem');
  /** Another checkout of this repository, measured as well under the name 'other'. */
  readonly #also: string | undefined;
  readonly #undone = new Set<() => Promise<void>>();
  #hosts: readonly string[] | undefined;

  constructor(also: string | undefined) {
    this.#also = also;
    chmodSync(this.folder, 0o755); // nginx's worker is another user
    const { chain, key } = makeIdentity();
    writeFileSync(this.#chain, chain);
    writeFileSync(this.#key, key);
    writeFileSync(this.#both, chain + key);
  }

  /** Has something undone when the run ends, however it does; the returned function does so now. */
  atClose(undo: () => Promise<void>): () => Promise<void> {
    this.#undone.add(undo);
    return async () => {
      if (this.#undone.delete(undo)) await undo();
    };
  }

  async close(): Promise<void> {
    for (const undo of this.#undone) await undo();
    await this.processes.stopAll();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A load generator on its core, for which the pod's host is 127.0.0.1. */
  async generate(argv: readonly string[], seconds: number): Promise<string> {
    this.#hosts ??= await withHosts(podHost);
    const timeoutMs = (seconds + 20) * 1_000;
    return this.processes.output([...this.#hosts, ...argv], cores.rest, timeoutMs);
  }

  /** nginx with small answers at `/` and these files, behind everybody. Returns its port. */
  async upstream(files: Readonly<Record<string, string | Buffer>> = {}): Promise<number> {
    const port = await freePort();
    mkdirSync(join(this.folder, 'files'), { recursive: true });
    for (const [name, bytes] of Object.entries(files)) {
      writeFileSync(join(this.folder, 'files', name), bytes);
    }
    const argv = nginxUpstream(this.folder, port);
    await this.#listening(`upstream-${port}`, argv, { port, core: cores.rest });
    return port;
  }

  /** Something on the load's core that listens on the port it is told. Returns the port. */
  async beside(name: string, argv: (port: number) => readonly string[]): Promise<number> {
    const port = await freePort();
    await this.#listening(name, argv(port), { port, core: cores.rest });
    return port;
  }

  /** A program of ours as the pod behind everybody. Returns its port. */
  async pod(program: string): Promise<number> {
    const file = join(import.meta.dirname, 'pods', program);
    return this.beside(program, (port) => [process.execPath, file, String(port)]);
  }

  /** A client of ours, which prints its findings. */
  async client(program: string, seconds: number, argv: readonly number[]): Promise<string> {
    const command = [process.execPath, join(import.meta.dirname, 'clients', program)];
    const timeoutMs = (seconds + 20) * 1_000;
    return this.processes.output([...command, ...argv.map(String)], cores.rest, timeoutMs);
  }

  /** A client of ours that says when it is ready and then holds what it has until it is stopped. */
  async held(program: string, argv: readonly number[]): Promise<ChildProcess> {
    const command = [process.execPath, join(import.meta.dirname, 'clients', program)];
    const options = { core: cores.rest, name: program, ipc: true };
    const child = this.processes.start([...command, ...argv.map(String)], options);
    await this.#ready(program, child, once(child, 'message'));
    return child;
  }

  /** The gateway, and beside it that of the other checkout when there is one. */
  async gateways(options: GatewayOptions): Promise<Subject[]> {
    const own = await this.#gateway(join(import.meta.dirname, '..'), options);
    if (this.#also === undefined) return [own];
    return [own, await this.#gateway(this.#also, { ...options, name: 'other' })];
  }

  async peer(program: keyof typeof peers, options: PeerOptions): Promise<Subject> {
    const port = await freePort();
    const make = peers[program];
    if (!make) throw new Error(`there is no peer ${program}`);
    const argv = await make({
      mode: 'http',
      accessLog: false,
      gzip: false,
      ...options,
      port,
      sparePort: await freePort(),
      folder: this.folder,
      chain: this.#chain,
      key: this.#key,
      both: this.#both,
    });
    const name = options.name ?? program;
    return subject(name, port, await this.#listening(name, argv, { port, core: cores.measured }));
  }

  /** A bare server in Node, measured: answers by itself, without anybody behind it. */
  async reference(protocol: 'h1' | 'h2' = 'h1'): Promise<Subject> {
    const port = await freePort();
    const program = join(import.meta.dirname, 'reference', 'main.ts');
    const argv = [process.execPath, program, this.#chain, this.#key, String(port), protocol];
    const name = protocol === 'h2' ? 'bare node:http2' : 'bare Node server';
    const child = await this.#listening(name, argv, { port, core: cores.measured });
    return subject(name, port, child);
  }

  async #gateway(root: string, options: GatewayOptions): Promise<Subject> {
    const { name = 'podgate', upstreamPort } = options;
    const port = await freePort();
    const folder = join(this.folder, options.folder ?? `${name}-${port}`);
    mkdirSync(folder, { recursive: true });
    const upstream = { host: '127.0.0.1', port: upstreamPort };
    const run: GatewayRun = {
      port,
      folder,
      chain: this.#chain,
      key: this.#key,
      routes: [exampleRoute({ host: podHost, pod: 'a', upstream, ...options.route })],
      others: options.others ?? 0,
      terms: options.terms ?? {},
      stored: options.stored,
      uncounted: options.uncounted ?? false,
    };
    const argv = [process.execPath, join(root, 'bench', 'gateway', 'main.ts'), JSON.stringify(run)];
    const child = this.processes.start(argv, { core: cores.measured, name, ipc: true });
    await this.#ready(name, child, once(child, 'message'));
    return subject(name, port, child);
  }

  async #listening(
    name: string,
    argv: readonly string[],
    { port, core }: { readonly port: number; readonly core: number },
  ): Promise<ChildProcess> {
    const child = this.processes.start(argv, { core, name });
    await this.#ready(name, child, accepts(port));
    return child;
  }

  async #ready(name: string, child: ChildProcess, sign: Promise<unknown>): Promise<void> {
    const failed = Promise.withResolvers<never>();
    const fail = (reason: string): void =>
      failed.reject(new Error(`${name} ${reason}: ${this.processes.log(name).slice(-800)}`));
    const cancel = systemClock.after(readyMs, () => fail('does not listen'));
    const ended = (): void => fail('has ended');
    child.once('exit', ended);
    child.once('error', ended);
    try {
      await Promise.race([sign, failed.promise]);
    } finally {
      cancel();
      child.off('exit', ended);
      child.off('error', ended);
    }
  }
}

const subject = (name: string, port: number, child: ChildProcess): Subject => ({
  name,
  port,
  child,
  pids: () => treeOf(child.pid ?? 0),
});

async function accepts(port: number): Promise<void> {
  for (;;) {
    const socket = net.connect(port, '127.0.0.1');
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return;
    await systemClock.sleep(20);
  }
}
