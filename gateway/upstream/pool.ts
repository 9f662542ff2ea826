import net from 'node:net';
import type { Address, Route } from '#contracts/route.ts';
import type { Deadlines, Mortal } from '../deadlines.ts';
import type { Limits } from '../limits.ts';
import type { Unreached } from '../pages/pages.ts';

/** Who uses an upstream connection at the moment; told by method, so that a request costs no closure. */
export interface UpstreamUser {
  upstreamData(bytes: Buffer): void;
  upstreamDrain(): void;
  /** Nothing more will come; `error` when it did not end in order. */
  upstreamGone(error: Error | undefined): void;
}

/** One connection to a pod. It serves one exchange at a time. */
export class Upstream implements Mortal {
  readonly key: string;
  readonly socket: net.Socket;
  /** It has served an exchange before, so it may be closing under the next. */
  reused = false;
  user: UpstreamUser | undefined;
  deadlineMs: number;
  readonly #pool: UpstreamPool;
  #connected = false;
  #expired = false;
  #failure: Error | undefined;

  constructor(key: string, address: Address, terms: { pool: UpstreamPool; deadlineMs: number }) {
    this.key = key;
    this.#pool = terms.pool;
    this.deadlineMs = terms.deadlineMs;
    this.socket = net.connect({
      host: address.host,
      port: address.port,
      noDelay: true,
      allowHalfOpen: true,
    });
    this.socket.on('connect', () => {
      this.#connected = true;
      this.deadlineMs = Infinity;
    });
    this.socket.on('data', (bytes: Buffer) => {
      // Bytes that nobody asked for would be the answer to somebody else's next request.
      if (this.user) this.user.upstreamData(bytes);
      else this.socket.destroy();
    });
    this.socket.on('drain', () => this.user?.upstreamDrain());
    this.socket.on('error', (error) => {
      this.#failure = error;
    });
    this.socket.on('end', () => this.#gone());
    this.socket.on('close', () => {
      this.#pool.forget(this);
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

  /** Hands the bare socket over to a tunnel. */
  release(): net.Socket {
    this.user = undefined;
    this.deadlineMs = Infinity;
    for (const event of ['data', 'drain', 'end', 'close']) this.socket.removeAllListeners(event);
    this.#pool.forget(this);
    return this.socket;
  }

  /** Ends it; its user hears nothing more. */
  destroy(): void {
    this.user = undefined;
    this.socket.destroy();
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

/**
 * Idle connections per pod and address. A connection never serves two pods, and is kept only when
 * its last exchange left it clean.
 */
export class UpstreamPool {
  readonly #limits: Limits;
  readonly #deadlines: Deadlines;
  readonly #idle = new Map<string, Upstream[]>();
  #idleCount = 0;

  constructor(deadlines: Deadlines, limits: Limits) {
    this.#deadlines = deadlines;
    this.#limits = limits;
  }

  /** A connection for one exchange: the idle one used last, or, with `fresh`, always a new one. */
  take(route: Route, address: Address, user: UpstreamUser, fresh = false): Upstream {
    const key = podConnectionKey(route, address);
    const idle = fresh ? undefined : this.#takeIdle(key);
    if (idle) {
      idle.reused = true;
      idle.deadlineMs = Infinity;
      idle.user = user;
      return idle;
    }
    const deadlineMs = this.#deadlines.nowMs + this.#limits.upstreamConnectMs;
    const upstream = new Upstream(key, address, { pool: this, deadlineMs });
    upstream.user = user;
    this.#deadlines.add(upstream);
    return upstream;
  }

  /** Gives back a connection whose exchange is complete and left nothing behind. */
  release(upstream: Upstream): void {
    upstream.user = undefined;
    const idle = this.#idle.get(upstream.key) ?? [];
    const { socket } = upstream;
    // What was not sent yet belongs to the exchange before; what ended ends the next.
    const spent = socket.destroyed || socket.readableEnded || socket.writableLength > 0;
    const full =
      idle.length >= this.#limits.upstreamIdlePerRouteMax ||
      this.#idleCount >= this.#limits.upstreamIdleTotalMax;
    if (full || spent) {
      upstream.destroy();
      return;
    }
    upstream.deadlineMs = this.#deadlines.nowMs + this.#limits.upstreamIdleMs;
    socket.resume();
    idle.push(upstream);
    this.#idle.set(upstream.key, idle);
    this.#idleCount += 1;
  }

  /** The idle connection used last; one on its way out, whose end is not reported yet, is passed over. */
  #takeIdle(key: string): Upstream | undefined {
    const idle = this.#idle.get(key);
    if (!idle) return undefined;
    for (;;) {
      const upstream = idle.pop();
      if (idle.length === 0) this.#idle.delete(key);
      if (!upstream) return undefined;
      this.#idleCount -= 1;
      if (!upstream.socket.destroyed) return upstream;
    }
  }

  /** A connection is gone for good. */
  forget(upstream: Upstream): void {
    this.#deadlines.delete(upstream);
    const idle = this.#idle.get(upstream.key);
    const at = idle?.indexOf(upstream) ?? -1;
    if (!idle || at < 0) return;
    idle.splice(at, 1);
    this.#idleCount -= 1;
    if (idle.length === 0) this.#idle.delete(upstream.key);
  }
}
