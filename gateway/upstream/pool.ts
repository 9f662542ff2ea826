import net from 'node:net';
import type { Address, Route } from '#contracts/route.ts';
import type { Deadlines, Mortal } from '../deadlines.ts';
import { LastAnswer } from '../http1/response-head.ts';
import type { Limits } from '../limits.ts';
import type { Unreached } from '../pages/pages.ts';
import { QuickWriter } from '../quick-writer.ts';
import { received } from './memory.ts';

/** Who uses an upstream connection at the moment; told by method, so that a request costs no closure. */
export interface UpstreamUser {
  /** `bytes` are good for this call only: the next read of any connection overwrites them. */
  upstreamData(bytes: Buffer, length: number): void;
  upstreamDrain(): void;
  /** Nothing more will come; `error` when it did not end in order. */
  upstreamGone(error: Error | undefined): void;
}

/** How a connection is wanted: one used before, a new one, or a new one that is to become a tunnel. */
export type Wanted = 'pooled' | 'fresh' | 'tunnel';

/** One connection to a pod. It serves one exchange at a time. */
export class Upstream implements Mortal {
  readonly lane: Lane;
  readonly socket: net.Socket;
  /** It has served an exchange before, so it may be closing under the next. */
  reused = false;
  readonly lastAnswer: LastAnswer;
  user: UpstreamUser | undefined;
  deadlineMs: number;
  #connected = false;
  #heads: QuickWriter | undefined;
  #expired = false;
  #failure: Error | undefined;

  constructor(
    lane: Lane,
    { wanted, deadlineMs, limits }: { wanted: Wanted; deadlineMs: number; limits: Limits },
  ) {
    this.lastAnswer = new LastAnswer(limits);
    const { host, port } = lane.address;
    const tunnel = wanted === 'tunnel';
    this.lane = lane;
    this.deadlineMs = deadlineMs;
    this.socket = net.connect({
      host,
      port,
      noDelay: true,
      allowHalfOpen: true,
      ...(tunnel
        ? {}
        : { onread: { buffer: received, callback: (length) => this.#data(received, length) } }),
    });
    if (tunnel) this.socket.on('data', (bytes: Buffer) => this.#data(bytes, bytes.length));
    this.socket.on('connect', () => {
      this.#connected = true;
      if (!tunnel) this.#heads = new QuickWriter(this.socket);
      this.deadlineMs = Infinity;
    });
    this.socket.on('drain', () => this.user?.upstreamDrain());
    this.socket.on('error', (error) => {
      this.#failure = error;
    });
    this.socket.on('end', () => this.#gone());
    this.socket.on('close', () => {
      this.lane.pool.forget(this);
      this.#gone();
    });
  }

  /** Why it failed, if it did; undefined when there was a connection. */
  get unreached(): Unreached | undefined {
    if (this.#connected) return undefined;
    return this.#expired ? 'timed out' : 'refused';
  }

  /** Called by the deadlines: it did not connect in time, or was idle for long. */
  expire(): void {
    this.#failure = new Error('timed out');
    this.#expired = true;
    this.socket.destroy();
  }

  /** Something that was written is not with the kernel yet. */
  get sending(): boolean {
    return this.socket.writableLength > 0 || this.#heads?.done === false;
  }

  /** Writes the head of a request. */
  send(head: string): void {
    if (this.#heads) this.#heads.write(head);
    else this.socket.write(head, 'latin1');
  }

  /** Hands the bare socket, wanted as 'tunnel', over to one. */
  release(): net.Socket {
    this.user = undefined;
    this.deadlineMs = Infinity;
    for (const event of ['data', 'drain', 'end', 'close']) this.socket.removeAllListeners(event);
    this.lane.pool.forget(this);
    return this.socket;
  }

  /** Ends it; its user hears nothing more. */
  destroy(): void {
    this.user = undefined;
    this.socket.destroy();
  }

  /** Goes on reading: pausing is its user's business. */
  #data(bytes: Buffer, length: number): true {
    // Bytes that nobody asked for would be the answer to somebody else's next request.
    if (this.user) this.user.upstreamData(bytes, length);
    else this.socket.destroy();
    return true;
  }

  #gone(): void {
    const { user } = this;
    this.user = undefined;
    if (user) user.upstreamGone(this.#failure);
    else this.socket.destroy();
  }
}

/** Connections of one pod at one address: a new address means a new run, which knows nothing of them. */
export const podConnectionKey = (
  { tenant, pod, network }: Route,
  { host, port }: Address,
): string => `${tenant}/${pod}/${network} ${host}:${port}`;

/** The connections of one pod at one address. */
interface Lane {
  readonly key: string;
  readonly address: Address;
  readonly pool: UpstreamPool;
  readonly idle: Upstream[];
  open: number;
}

/**
 * Idle connections per pod and address. A connection never serves two pods, and is kept only when
 * its last exchange left it clean.
 */
export class UpstreamPool {
  readonly #limits: Limits;
  readonly #deadlines: Deadlines;
  /** Those with connections. */
  readonly #lanes = new Map<string, Lane>();
  /** So that a request makes no key. */
  readonly #laneOf = new WeakMap<Route, Lane>();
  #idleCount = 0;
  #made = 0;

  constructor(deadlines: Deadlines, limits: Limits) {
    this.#deadlines = deadlines;
    this.#limits = limits;
  }

  /** A connection for one exchange: 'pooled' is the idle one used last, if there is one. */
  take(route: Route, address: Address, user: UpstreamUser, wanted: Wanted = 'pooled'): Upstream {
    const lane = this.#lane(route, address);
    const idle = wanted === 'pooled' ? this.#takeIdle(lane) : undefined;
    if (idle) {
      idle.reused = true;
      idle.deadlineMs = Infinity;
      idle.user = user;
      return idle;
    }
    const deadlineMs = this.#deadlines.nowMs + this.#limits.upstreamConnectMs;
    const upstream = new Upstream(lane, { wanted, deadlineMs, limits: this.#limits });
    upstream.user = user;
    lane.open += 1;
    this.#made += 1;
    this.#lanes.set(lane.key, lane);
    this.#deadlines.add(upstream);
    return upstream;
  }

  /** How many connections it has made. */
  get made(): number {
    return this.#made;
  }

  /** How many there are now. */
  get counts(): { readonly busy: number; readonly idle: number } {
    const open = this.#lanes.values().reduce((sum, lane) => sum + lane.open, 0);
    return { busy: open - this.#idleCount, idle: this.#idleCount };
  }

  /** Gives back a connection whose exchange is complete and left nothing behind. */
  release(upstream: Upstream): void {
    upstream.user = undefined;
    const { socket } = upstream;
    const { idle } = upstream.lane;
    // What was not sent yet belongs to the exchange before; what ended ends the next.
    const spent = socket.destroyed || socket.readableEnded || upstream.sending;
    const full =
      idle.length >= this.#limits.upstreamIdlePerRouteMax ||
      this.#idleCount >= this.#limits.upstreamIdleTotalMax;
    if (full || spent) {
      upstream.destroy();
      return;
    }
    upstream.deadlineMs = this.#deadlines.nowMs + this.#limits.upstreamIdleMs;
    if (socket.isPaused()) socket.resume();
    idle.push(upstream);
    this.#idleCount += 1;
  }

  /** A connection is gone for good. */
  forget(upstream: Upstream): void {
    const { lane } = upstream;
    if (!this.#deadlines.delete(upstream)) return;
    lane.open -= 1;
    if (lane.open === 0 && this.#lanes.get(lane.key) === lane) this.#lanes.delete(lane.key);
    const at = lane.idle.indexOf(upstream);
    if (at < 0) return;
    lane.idle.splice(at, 1);
    this.#idleCount -= 1;
  }

  #lane(route: Route, address: Address): Lane {
    const known = this.#laneOf.get(route);
    if (known?.address === address) return known;
    const key = podConnectionKey(route, address);
    const lane = this.#lanes.get(key) ?? { key, address, pool: this, idle: [], open: 0 };
    this.#laneOf.set(route, lane);
    return lane;
  }

  /** The idle connection used last; one on its way out, whose end is not reported yet, is passed over. */
  #takeIdle({ idle }: Lane): Upstream | undefined {
    for (;;) {
      const upstream = idle.pop();
      if (!upstream) return undefined;
      this.#idleCount -= 1;
      if (!upstream.socket.destroyed) return upstream;
    }
  }
}
