import { X509Certificate } from 'node:crypto';
import { on, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import type net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import type { Certificate } from '#contracts/certificate.ts';
import { certificates } from '#contracts/certificate.ts';
import { challenges } from '#contracts/challenge.ts';
import { sealContext } from '#contracts/pod.ts';
import type { Route } from '#contracts/route.ts';
import type { Sealer } from '#contracts/sealer.ts';
import { sessionTickets } from '../gateway/ticket-key.ts';
import type { Collection } from '#contracts/store.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { startGateway } from '../gateway/gateway.ts';
import type { Identity } from '../gateway/tls.ts';
import { makeIdentity } from './edge.ts';
import { exampleRoute, servingTerms } from './gateway-examples.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * A gateway of two worker processes with pods at `<pod>.pods.example.test`. Each pod answers requests
 * with the name of the worker that asked, and upgrades to an echo whose 101 names it as well.
 */
export class GatewayProcesses {
  readonly bus = new MemoryRouteBus();
  readonly #folder = mkdtempSync(join(tmpdir(), 'podgate-processes-'));
  readonly #sealer: Sealer;
  readonly store: MemoryStore;
  readonly #certificates: Collection<Certificate>;
  readonly #pod = http.createServer((request, response) => response.end(workerOf(request)));
  readonly #sockets = new Set<net.Socket>();
  #gateway: Gateway | undefined;

  /** `beside`: another gateway of the same site, with which it shares the store. */
  static async start(
    pods: readonly string[],
    beside?: GatewayProcesses,
  ): Promise<GatewayProcesses> {
    const started = new GatewayProcesses(beside);
    await started.#start(pods);
    return started;
  }

  private constructor(beside: GatewayProcesses | undefined) {
    this.store = beside?.store ?? new MemoryStore();
    this.#sealer = beside ? beside.#sealer : openSealer(join(this.#folder, 'key'));
    this.#certificates = certificates(this.store);
  }

  get gateway(): Gateway {
    if (!this.#gateway) throw new Error('not started');
    return this.#gateway;
  }

  /** TLS to a pod with any certificate of ours; rejects with what the gateway has to say. */
  async dial(pod: string, options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
    const socket = tls.connect({
      host: '127.0.0.1',
      port: this.gateway.httpsPort,
      servername: `${pod}.pods.example.test`,
      rejectUnauthorized: false,
      ...options,
    });
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    await once(socket, 'secureConnect');
    socket.on('error', () => undefined);
    return socket;
  }

  /** A request on a connection that is kept, and the worker that served it. Throws unless it is 200. */
  async ask(socket: tls.TLSSocket): Promise<string> {
    socket.write(`GET / HTTP/1.1\r\nHost: ${socket.servername || ''}\r\n\r\n`);
    let answer = '';
    for await (const [bytes] of on(socket, 'data', { close: ['end', 'close'] })) {
      answer += String(bytes);
      const whole = /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n(\w{12})$/.exec(answer);
      if (whole?.[1]) return whole[1];
    }
    throw new Error(`no answer: ${answer}`);
  }

  /** Turns a connection into an echo; returns the worker that serves it. */
  async upgrade(socket: tls.TLSSocket): Promise<string> {
    const fields = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
    socket.write(`GET / HTTP/1.1\r\nHost: ${socket.servername || ''}\r\n${fields}\r\n`);
    const [head]: Buffer[] = await once(socket, 'data');
    const worker = /^HTTP\/1\.1 101 [^]*\r\nX-Worker: (\w+)\r\n[^]*\r\n\r\n$/.exec(
      String(head),
    )?.[1];
    if (!worker) throw new Error(`no tunnel: ${String(head)}`);
    return worker;
  }

  /** Stores a new certificate of the pod's own, and returns its SHA-256 fingerprint. */
  async certify(pod: string): Promise<string> {
    const identity = makeIdentity();
    await this.#store(`pod/default/${pod}`, `${pod}.pods.example.test`, identity);
    return new X509Certificate(identity.chain).fingerprint256;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.#gateway?.stop();
    this.#pod.closeAllConnections();
    this.#pod.close();
    rmSync(this.#folder, { recursive: true });
  }

  async #start(pods: readonly string[]): Promise<void> {
    this.#pod.on('upgrade', (request, socket) => {
      socket.on('error', () => undefined);
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
          `X-Worker: ${workerOf(request)}\r\n\r\n`,
      );
      socket.pipe(socket);
    });
    this.#pod.listen(0, '127.0.0.1', 1024);
    await once(this.#pod, 'listening');
    await this.#store('wildcard', '*.pods.example.test', makeIdentity());
    this.#gateway = await startGateway(
      {
        routes: this.bus,
        certificates: this.#certificates,
        challenges: challenges(this.store),
        tickets: sessionTickets(this.store),
        sealer: this.#sealer,
        clock: systemClock,
        random: systemRandom,
        log: silent,
      },
      {
        ...servingTerms,
        id: 'test',
        httpsPort: 0,
        httpPort: 0,
        workers: 2,
        dataDir: this.#folder,
      },
    );
    await this.bus.begin(
      1,
      pods.map((pod) => this.#route(pod)),
    );
    await eventually(() => this.gateway.ready());
  }

  #route(pod: string): Route {
    const address = this.#pod.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const upstream = { host: '127.0.0.1', port };
    return exampleRoute({ host: `${pod}.pods.example.test`, pod, upstream });
  }

  async #store(id: string, host: string, { chain, key }: Identity): Promise<void> {
    const certificate = {
      hosts: [host],
      chain,
      key: this.#sealer.seal(key, sealContext.certificate(id)),
      notBeforeMs: 0,
      notAfterMs: Number.MAX_SAFE_INTEGER,
      renewAtMs: Number.MAX_SAFE_INTEGER,
      issuer: 'test',
    };
    await this.#certificates.put(id, certificate, 'anything');
  }
}

// The gateway gives a request an id, whose first part is the worker's own.
const workerOf = ({ headers }: http.IncomingMessage): string =>
  String(headers['x-request-id']).split('-')[0] ?? '';

export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 1_000; turn += 1) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('waited in vain');
}
