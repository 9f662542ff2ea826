import https from 'node:https';
import tls from 'node:tls';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { TestCluster } from './cluster.ts';

/** What goes through the gateways all the time: requests on kept connections, WebSockets, TCP. */

export type GatewayNumber = 1 | 2;

export interface Failure {
  readonly gateway: GatewayNumber;
  readonly pod: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly why: string;
}

const everyMs = 20;

export class Load {
  readonly failures: Failure[] = [];
  /** Answered with 200. */
  answered = 0;
  /** The longest that one answer took. */
  slowestMs = 0;
  readonly #cluster: TestCluster;
  readonly #pods: readonly string[];
  readonly #over = new AbortController();
  readonly #running: Promise<unknown>[] = [];
  readonly #agents = new Map<GatewayNumber, https.Agent>();

  constructor(cluster: TestCluster, pods: readonly string[]) {
    this.#cluster = cluster;
    this.#pods = pods;
    for (const gateway of [1, 2] as const) {
      this.#agents.set(gateway, new https.Agent({ keepAlive: true, maxSockets: 16 }));
      this.#running.push(this.#steadily(gateway));
    }
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await Promise.all(this.#running);
    for (const agent of this.#agents.values()) agent.destroy();
  }

  /** One request after the other on time, whether those before were answered or not. */
  async #steadily(gateway: GatewayNumber): Promise<void> {
    const open = new Set<Promise<void>>();
    for (let count = 0; !this.#over.signal.aborted; count += 1) {
      const pod = this.#pods[count % this.#pods.length] ?? '';
      const asked = this.#ask(gateway, pod).finally(() => open.delete(asked));
      open.add(asked);
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
    await Promise.all(open);
  }

  async #ask(gateway: GatewayNumber, pod: string): Promise<void> {
    const startedAtMs = performance.now();
    const agent = this.#agents.get(gateway);
    const failed = (why: string): void => {
      this.failures.push({ gateway, pod, startedAtMs, endedAtMs: performance.now(), why });
    };
    try {
      const { status } = await this.#cluster.request(gateway, pod, agent ? { agent } : {});
      if (status !== 200) failed(`status ${status}`);
      else this.answered += 1;
      this.slowestMs = Math.max(this.slowestMs, performance.now() - startedAtMs);
    } catch (error) {
      failed(String(error));
    }
  }
}

/** A connection that echoes, asked all the time until it ends. */
export interface Tunnel {
  readonly gateway: GatewayNumber;
  readonly kind: 'WebSocket' | 'TCP';
  readonly echoes: () => number;
  /** Why it is over; undefined: it is not. */
  readonly ended: () => string | undefined;
  close(): void;
}

const pingMs = 100;

export async function openWebSocket(
  cluster: TestCluster,
  gateway: GatewayNumber,
  pod: string,
): Promise<Tunnel> {
  const host = `${pod}.pods.localhost`;
  // Known to tls.connect, which is given it, but not to the declaration.
  const options: object = { servername: host, ca: cluster.ca, headers: { host } };
  const url = `wss://127.0.0.1:${cluster.ports[`https-${gateway}`]}/ws`;
  const socket = new WebSocket(url, options);
  let echoes = 0;
  let ended: string | undefined;
  socket.on('error', (error) => (ended ??= String(error)));
  socket.on('close', (code) => (ended ??= `closed with ${code}`));
  socket.on('message', () => (echoes += 1));
  await once(socket, 'open');
  const timer = setInterval(() => socket.send('ping', () => undefined), pingMs);
  return {
    gateway,
    kind: 'WebSocket',
    echoes: () => echoes,
    ended: () => ended,
    close: () => {
      clearInterval(timer);
      socket.terminate();
    },
  };
}

/** Lines that a pod's second network sends back. */
export async function openTcp(
  cluster: TestCluster,
  gateway: GatewayNumber,
  host: string,
): Promise<Tunnel> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port: cluster.ports[`https-${gateway}`],
    servername: host,
    ca: cluster.ca,
  });
  let echoes = 0;
  let ended: string | undefined;
  socket.on('error', (error) => (ended ??= String(error)));
  socket.on('close', () => (ended ??= 'closed'));
  socket.on('data', () => (echoes += 1));
  await once(socket, 'secureConnect');
  const timer = setInterval(() => socket.write('ping\n'), pingMs);
  return {
    gateway,
    kind: 'TCP',
    echoes: () => echoes,
    ended: () => ended,
    close: () => {
      clearInterval(timer);
      socket.destroy();
    },
  };
}
