import type net from 'node:net';
import type { Page } from '../pages/pages.ts';
import { pages, renderPage } from '../pages/pages.ts';
import { decide } from '../routing.ts';
import { BodyMeter } from './body.ts';
import { malformed, needsMore } from './chunked.ts';
import type { Http1Context, Peer } from './context.ts';
import type { ExchangeOwner } from './exchange.ts';
import { Exchange } from './exchange.ts';
import { Refusal } from './fields.ts';
import { forwardedHead } from './forward.ts';
import { HeadBuffer } from './head-buffer.ts';
import type { RequestHead } from './request-head.ts';
import { parseRequestHead } from './request-head.ts';

/**
 * Serves HTTP/1.1 (RFC 9112) on a client's connection until it ends. Heads are parsed once and
 * sent on in one write; the bytes of bodies pass untouched. All methods are those of two objects
 * per connection: a request makes no stream, promise or closure.
 *
 *   head ──▶ exchange ──▶ head …        closing: the last answer is out, the rest is not read
 *               └──▶ tunnel (after 101)
 */
export class Http1Connection implements ExchangeOwner {
  deadlineMs: number;
  readonly requestBody: BodyMeter;
  readonly #socket: net.Socket;
  readonly #context: Http1Context;
  readonly #peer: Peer;
  readonly #exchange: Exchange;
  /** Received and not yet used: an unfinished head, or requests that wait. */
  readonly #received: HeadBuffer;
  #phase: 'head' | 'exchange' | 'tunnel' | 'closing' = 'head';
  #advancing = false;
  #clientEnded = false;
  #request: RequestHead | undefined;

  constructor(socket: net.Socket, context: Http1Context, peer: Peer) {
    this.#socket = socket;
    this.#context = context;
    this.#peer = peer;
    this.requestBody = new BodyMeter(context.limits);
    this.#received = new HeadBuffer(context.limits);
    this.#exchange = new Exchange(socket, context, this);
    this.deadlineMs = context.deadlines.nowMs + context.limits.headMs;
    context.deadlines.add(this);
    socket.on('data', (bytes: Buffer) => this.#data(bytes));
    socket.on('drain', () => this.#drained());
    socket.on('end', () => this.#end());
    socket.on('finish', () => this.#finished());
    socket.on('error', () => undefined);
    socket.on('close', () => {
      context.deadlines.delete(this);
      this.#exchange.abandon();
    });
  }

  /** Nothing is under way: a draining worker may end it at once. */
  get idle(): boolean {
    return this.#phase === 'head' && this.#received.length === 0;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  expire(): void {
    const stalled = this.#socket.writableNeedDrain;
    if (this.#phase === 'head' && this.#received.length > 0 && !stalled) {
      this.#page(pages.clientTimeout);
    } else if (this.#phase === 'exchange' && !this.#exchange.responding && this.requestBody.done) {
      this.#exchange.abandon();
      this.#page(pages.timeout);
    } else this.#socket.destroy();
  }

  exchangeDone(keepAlive: boolean): void {
    this.#next(keepAlive);
  }

  exchangeFailed(page: Page): void {
    this.#page(page);
  }

  becomeTunnel(): Buffer {
    this.#phase = 'tunnel';
    this.#context.deadlines.delete(this);
    this.#socket.removeAllListeners('data').removeAllListeners('end').removeAllListeners('drain');
    return this.#received.rest();
  }

  #data(bytes: Buffer): void {
    if (this.#phase === 'closing') return;
    if (this.#phase === 'exchange' && !this.requestBody.done) {
      this.#passBody(bytes);
      return;
    }
    this.#received.push(bytes);
    this.#advance();
    if (this.#received.length > this.#context.limits.pipelinedBytesMax) this.#socket.pause();
  }

  #drained(): void {
    this.#exchange.clientDrained();
    if (this.#phase !== 'head') return;
    this.#socket.resume();
    this.#advance();
  }

  #end(): void {
    this.#clientEnded = true;
    if (this.#phase === 'head') this.#advance();
    // A body that was cut off must not look like a whole one to the pod.
    else if (this.#phase === 'exchange' && !this.requestBody.done) this.#socket.destroy();
    else if (this.#phase === 'closing') this.#socket.destroySoon();
  }

  /** The last answer has left: from here on only the client's own end is waited for. */
  #finished(): void {
    this.deadlineMs = this.#context.deadlines.nowMs + this.#context.limits.drainMs;
  }

  /**
   * A loop, not a recursion: a client may pipeline thousands of requests that get pages. One that
   * does not read its answers gets no more of them.
   */
  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    while (this.#phase === 'head' && !this.#socket.writableNeedDrain && this.#takeRequest());
    this.#advancing = false;
  }

  /** Whether a whole head was there. */
  #takeRequest(): boolean {
    this.#received.skipEmptyLines();
    const text = this.#received.head();
    if (text === undefined) {
      this.#awaitHead();
      return false;
    }
    const head =
      text === null
        ? new Refusal(431, 'the head is too large')
        : parseRequestHead(text, this.#context.limits);
    if (head instanceof Refusal) this.#page(pages.refused(head.status, head.reason));
    else this.#begin(head);
    return true;
  }

  #awaitHead(): void {
    const { limits, deadlines } = this.#context;
    const waiting = this.#received.length === 0;
    const untilMs = deadlines.nowMs + (waiting ? limits.keepAliveMs : limits.headMs);
    // More bytes of an unfinished head buy no more time.
    this.deadlineMs = waiting ? untilMs : Math.min(this.deadlineMs, untilMs);
    if (this.#clientEnded) this.#next(false);
  }

  #begin(request: RequestHead): void {
    this.#request = request;
    this.requestBody.begin(request.framing, request.length);
    const { host, target } = request;
    const decision = decide({ host, target, sni: this.#peer.sni }, this.#context.routing);
    if (decision.kind === 'page') {
      this.#page(decision.page);
      return;
    }
    const id = request.requestId ?? this.#context.nextRequestId();
    this.#phase = 'exchange';
    this.#exchange.begin(request, decision, forwardedHead(request, this.#peer, id));
    if (!this.requestBody.done && this.#received.length > 0) this.#passBody(this.#received.rest());
  }

  #passBody(bytes: Buffer): void {
    const end = this.requestBody.take(bytes, 0);
    if (end === malformed) {
      const { responding } = this.#exchange;
      this.#exchange.abandon();
      if (responding) this.#socket.destroy();
      else this.#page(pages.refused(400, 'the chunked body is malformed'));
      return;
    }
    this.#exchange.sendBody(end === needsMore ? bytes : bytes.subarray(0, end));
    if (end !== needsMore && end < bytes.length) this.#received.push(bytes.subarray(end));
  }

  /** Answers in place of a pod. A body that is still coming is not waited for. */
  #page(page: Page): void {
    const request = this.#request;
    const keepAlive =
      page.code !== pages.badRequestCode &&
      request?.keepAlive === true &&
      this.requestBody.done &&
      !this.#context.draining();
    const html = request?.wantsHtml === true;
    const head = request?.method === 'HEAD';
    this.#socket.write(renderPage(page, { html, head, keepAlive }), 'latin1');
    this.#next(keepAlive);
  }

  /** The next request, or an end that gives the client a moment to read: a reset could overtake. */
  #next(keepAlive: boolean): void {
    const { deadlines, limits } = this.#context;
    this.#request = undefined;
    this.deadlineMs = deadlines.nowMs + limits.bodyIdleMs;
    if (keepAlive) {
      this.#phase = 'head';
      this.#socket.resume();
      this.#advance();
      return;
    }
    this.#phase = 'closing';
    this.#received.rest();
    this.#socket.end();
    this.#socket.resume();
    if (this.#clientEnded) this.#socket.destroySoon();
  }
}
