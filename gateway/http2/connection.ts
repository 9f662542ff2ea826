import type net from 'node:net';
import type { SocketUser } from '../client-socket.ts';
import { lender, serve } from '../client-socket.ts';
import type { Mortal } from '../deadlines.ts';
import type { Http1Context, Peer } from '../http1/context.ts';
import { FrameReader } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { ConnectionFault, errors } from './protocol.ts';
import { Http2Session } from './session.ts';

/**
 * Serves HTTP/2 (RFC 9113) on a client's connection until it ends.
 *
 *   serving ──▶ leaving: GOAWAY is out, what is under way is finished ──▶ closing: the last is out
 *      └──────────────── a fault of the client's ───────────────────────────▲
 */
export class Http2Connection implements Mortal, SocketUser {
  readonly #socket: net.Socket;
  readonly #context: Http1Context;
  readonly #writer: FrameWriter;
  readonly #session: Http2Session;
  readonly #reader: FrameReader;
  #phase: 'serving' | 'leaving' | 'closing' = 'serving';
  /** When it has waited enough for whatever comes next while no stream is open. */
  #idleUntilMs: number;
  /** When the header block under way must be whole. */
  #blockUntilMs = Infinity;

  constructor(socket: net.Socket, context: Http1Context, peer: Peer) {
    const { deadlines, limits } = context;
    this.#socket = socket;
    this.#context = context;
    this.#writer = new FrameWriter(socket);
    const terms = { context, peer, lend: lender(socket) };
    this.#session = new Http2Session(terms, this.#writer, this);
    this.#reader = new FrameReader(this.#session);
    this.#idleUntilMs = deadlines.nowMs + limits.headMs;
    serve(socket, this);
    deadlines.add(this);
    this.#session.begin();
  }

  closed(): void {
    this.#context.connections.delete(this);
    this.#context.deadlines.delete(this);
    this.#phase = 'closing';
    this.#session.streams.abandon();
  }

  get deadlineMs(): number {
    const busy = this.#phase !== 'closing' && this.#session.streams.table.size > 0;
    return Math.min(busy ? Infinity : this.#idleUntilMs, this.#blockUntilMs);
  }

  expire(): void {
    if (this.#phase === 'closing') this.#socket.destroy();
    else this.#leave();
  }

  /**
   * Tells the client to go elsewhere; what is under way, and what is on its way to us, is finished
   * (RFC 9113, 6.8).
   */
  drain(): void {
    if (this.#phase !== 'serving') return;
    const { deadlines, limits } = this.#context;
    this.#writer.goaway();
    this.#idleUntilMs = deadlines.nowMs + limits.drainLingerMs;
  }

  /** The last stream that was open is over. */
  streamsIdle(): void {
    const { deadlines, limits } = this.#context;
    const idleMs = this.#context.draining() ? limits.drainLingerMs : limits.keepAliveMs;
    if (this.#phase === 'serving') this.#idleUntilMs = deadlines.nowMs + idleMs;
    else if (this.#phase === 'leaving') this.#close();
  }

  received(bytes: Buffer): void {
    if (this.#phase === 'closing') return;
    try {
      this.#reader.push(bytes);
    } catch (error) {
      if (error instanceof ConnectionFault) {
        this.#fault(error);
        return;
      }
      // A fault of ours: nobody knows what the connection has come to.
      this.#socket.destroy();
      throw error;
    }
    const { deadlines, limits } = this.#context;
    if (!this.#session.inBlock) this.#blockUntilMs = Infinity;
    else if (this.#blockUntilMs === Infinity) this.#blockUntilMs = deadlines.nowMs + limits.headMs;
    // Who does not read what is said to him is not listened to.
    if (this.#writer.waiting > limits.h2UnreadBytesMax) this.#socket.pause();
  }

  drained(): void {
    this.#socket.resume();
    this.#session.drained();
  }

  /** The client did what no client may: it is told, and everything ends. */
  #fault({ code, message }: ConnectionFault): void {
    this.#writer.goaway(code, this.#session.streams.table.last, message);
    this.#close();
  }

  /** No new streams; the last of those that are open ends the connection. */
  #leave(): void {
    const { last, size } = this.#session.streams.table;
    this.#session.streams.lastServed = last;
    this.#writer.goaway(errors.none, last);
    this.#phase = 'leaving';
    if (size === 0 || this.#session.inBlock) this.#close();
  }

  /** The last word is out: what the client still says is not read, but its end is waited for. */
  #close(): void {
    const { deadlines, limits } = this.#context;
    this.#phase = 'closing';
    this.#blockUntilMs = Infinity;
    this.#idleUntilMs = deadlines.nowMs + limits.drainMs;
    this.#session.streams.abandon();
    this.#writer.end();
    this.#socket.resume();
  }

  /** The client sends no more: nobody can tell whether it still reads. */
  ended(): void {
    if (this.#phase !== 'closing') this.#close();
    this.#socket.destroySoon();
  }
}
