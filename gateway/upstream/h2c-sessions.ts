import http2 from 'node:http2';
import net from 'node:net';
import type { Address, Route } from '#contracts/route.ts';
import type { Deadlines, Mortal } from '../deadlines.ts';
import type { Limits } from '../limits.ts';
import type { Unreached } from '../pages/pages.ts';
import { podConnectionKey } from './pool.ts';

// Known to node:http2 but not to its declarations. Clients say things twice; passing that on harms
// nobody, and throwing at it would.
const lenient: object = { strictSingleValueFields: false };

/** A connection to a pod in HTTP/2; many requests share it. */
export class H2cSession implements Mortal {
  deadlineMs: number;
  readonly session: http2.ClientHttp2Session;
  #streams = 0;
  #connected = false;
  #expired = false;
  readonly #deadlines: Deadlines;
  readonly #limits: Limits;

  constructor(address: Address, { deadlines, limits }: { deadlines: Deadlines; limits: Limits }) {
    this.#deadlines = deadlines;
    this.#limits = limits;
    this.deadlineMs = deadlines.nowMs + limits.upstreamConnectMs;
    this.session = http2.connect(`http://${net.isIPv6(address.host) ? '[::]' : address.host}`, {
      createConnection: () =>
        net.connect({ host: address.host, port: address.port, noDelay: true, keepAlive: true }),
      maxSessionMemory: limits.h2cSessionMegabytesMax,
      ...lenient,
      settings: { enablePush: false, initialWindowSize: limits.h2StreamWindowBytes },
    });
    this.session.on('error', () => undefined);
    this.session.on('connect', () => {
      this.#connected = true;
      this.session.setLocalWindowSize(limits.h2SessionWindowBytes);
      this.#rest();
    });
    deadlines.add(this);
  }

  request(headers: string[], endStream: boolean): http2.ClientHttp2Stream {
    const stream = this.session.request(headers, { endStream, waitForTrailers: !endStream });
    this.#streams += 1;
    if (this.#connected) this.deadlineMs = Infinity;
    stream.on('close', () => {
      this.#streams -= 1;
      this.#rest();
    });
    return stream;
  }

  /** Takes another request. */
  get usable(): boolean {
    return !this.session.closed && !this.session.destroyed;
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Why it failed, if it did; undefined when there was a connection. */
  get unreached(): Unreached | undefined {
    if (this.#connected) return undefined;
    return this.#expired ? 'timed out' : 'refused';
  }

  expire(): void {
    this.#expired = true;
    this.session.destroy();
  }

  #rest(): void {
    const idle = this.#streams === 0;
    this.deadlineMs = idle ? this.#deadlines.nowMs + this.#limits.h2cIdleMs : Infinity;
  }
}

/** One HTTP/2 connection per pod and address; never shared by two pods. */
export class H2cSessions {
  readonly #deadlines: Deadlines;
  readonly #limits: Limits;
  readonly #sessions = new Map<string, H2cSession>();
  #made = 0;

  constructor(deadlines: Deadlines, limits: Limits) {
    this.#deadlines = deadlines;
    this.#limits = limits;
  }

  /** How many connections it has made. */
  get made(): number {
    return this.#made;
  }

  /** How many there are now. */
  get count(): number {
    return this.#sessions.size;
  }

  take(route: Route, address: Address): H2cSession {
    const key = podConnectionKey(route, address);
    const known = this.#sessions.get(key);
    if (known?.usable) return known;
    const made = new H2cSession(address, { deadlines: this.#deadlines, limits: this.#limits });
    this.#sessions.set(key, made);
    this.#made += 1;
    const forget = (): void => {
      this.#deadlines.delete(made);
      if (this.#sessions.get(key) === made) this.#sessions.delete(key);
    };
    made.session.on('close', forget);
    // What is under way ends in order; new requests get another connection.
    made.session.on('goaway', () => {
      if (this.#sessions.get(key) === made) this.#sessions.delete(key);
    });
    return made;
  }
}
