import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import type { Route } from '#contracts/route.ts';
import { ManualClock } from '#adapters/memory/clock.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { limits } from '../gateway/limits.ts';
import type { Listeners } from '../gateway/listeners.ts';
import { bindListeners } from '../gateway/listeners.ts';
import type { ServingTerms } from '../gateway/messages.ts';
import type { Report } from '../gateway/observe/report.ts';
import { Worker } from '../gateway/worker/worker.ts';
import { servingTerms } from './gateway-examples.ts';

/** A gateway worker in this process, on real sockets with TLS, with pods and time in a test's hands. */
export class Edge {
  readonly clock = new ManualClock();
  /** What the worker has told of its traffic, oldest first; the last comes with `close`. */
  readonly reports: Report[] = [];
  /** Of the https socket. */
  readonly port: number;
  readonly #identity: { readonly chain: string; readonly key: string };
  readonly #worker: Worker;
  readonly #sockets = new Set<net.Socket>();
  readonly #servers: net.Server[] = [];
  readonly #drained = Promise.withResolvers<void>();
  readonly #closeHandles: () => void;
  #step = 0;

  /** The access log, where `terms` ask for one. */
  lines = '';

  /** `terms`: what the operator has set otherwise. */
  static async start(terms: Partial<ServingTerms> = {}): Promise<Edge> {
    return new Edge(await bindListeners([0, 0], 1, systemClock), terms);
  }

  private constructor(listeners: Listeners, terms: Partial<ServingTerms>) {
    const [https, http] = listeners.handles[0] ?? [];
    if (!https || !http) throw new Error('no sockets');
    this.#closeHandles = () => {
      for (const handle of listeners.handles.flat()) handle.close();
    };
    this.port = listeners.ports[0] ?? 0;
    this.#identity = makeIdentity();
    this.#worker = new Worker(
      {
        number: 0,
        ...servingTerms,
        ticketMaster: Buffer.alloc(32, 7),
        ...terms,
      },
      {
        clock: this.clock,
        random: systemRandom,
        lines: {
          write: (lines, done) => {
            this.lines += lines;
            done();
          },
        },
        process: { pid: 7, hostname: 'edge' },
        descriptors: { https: https.fd, http: http.fd },
        send: (message) => {
          if (message.kind === 'report') this.reports.push(message.report);
          if (message.kind !== 'certificate-wanted') return;
          this.#worker.handle({ kind: 'certificate', host: message.host, identity: undefined });
        },
        drained: (last) => {
          this.reports.push(last);
          this.#drained.resolve();
        },
      },
    );
    this.#worker.handle({ kind: 'wildcard', domain: 'example.test', identity: this.#identity });
    this.#worker.handle({ kind: 'routes', puts: [], drops: [], step: 0 });
    this.#worker.handle({ kind: 'serve' });
  }

  /** A pod at `<pod>.pods.example.test` that treats every connection with `accept`. */
  async pod(accept: (socket: net.Socket) => void, change: Partial<Route> = {}): Promise<void> {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      this.#keep(socket);
      accept(socket);
    });
    await this.serve(server, change);
  }

  /** The same for a server of any kind, which is closed with the edge. */
  async serve(server: net.Server, change: Partial<Route> = {}): Promise<void> {
    server.listen(0, '127.0.0.1');
    this.#servers.push(server);
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    this.route({ upstream: { host: '127.0.0.1', port }, ...change });
  }

  route(change: Partial<Route> = {}): void {
    const pod = change.pod ?? 'a';
    const route: Route = {
      host: `${pod}.pods.example.test`,
      tenant: 'default',
      pod,
      network: 'default',
      protocol: 'http',
      state: change.upstream === null ? 'stopped' : 'ready',
      message: '',
      upstream: null,
      ...change,
    };
    this.#step += 1;
    this.#worker.handle({ kind: 'routes', puts: [route], drops: [], step: this.#step });
  }

  async dial(): Promise<net.Socket> {
    const socket = net.connect({ host: '127.0.0.1', port: this.port, allowHalfOpen: true });
    this.#keep(socket);
    await once(socket, 'connect');
    return socket;
  }

  /** TLS to a pod, with its certificate verified; rejects with what the gateway has to say. */
  async secure(pod = 'a', options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
    const socket = tls.connect({
      host: '127.0.0.1',
      port: this.port,
      servername: `${pod}.pods.example.test`,
      ca: this.#identity.chain,
      ...halfOpen,
      ...options,
    });
    await once(socket, 'secureConnect');
    this.#keep(socket);
    return socket;
  }

  /** Asks the worker to end, as its parent does. */
  drain(): void {
    this.#worker.handle({ kind: 'drain' });
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.drain();
    await this.clock.advance(limits.drainMs);
    await this.#drained.promise;
    for (const server of this.#servers) server.close();
    this.#closeHandles();
  }

  #keep(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
  }
}

// Known to tls.connect, which hands it to its socket, but not to its declaration.
const halfOpen: object = { allowHalfOpen: true };

/** A key with a self-signed certificate for `*.pods.example.test`. */
export function makeIdentity(): { chain: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'podgate-edge-'));
  const argv =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem ' +
    '-days 2 -subj /CN=t -addext subjectAltName=DNS:*.pods.example.test';
  execFileSync('openssl', argv.split(' '), { cwd: folder, stdio: 'pipe' });
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const identity = { chain: read('c.pem'), key: read('k.pem') };
  rmSync(folder, { recursive: true });
  return identity;
}
