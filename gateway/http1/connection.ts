import type net from 'node:net';
import type { Address, Route } from '#contracts/route.ts';
import type { Mortal } from '../deadlines.ts';
import type { Page } from '../pages/pages.ts';
import { pages, renderPage } from '../pages/pages.ts';
import { decide } from '../routing.ts';
import { splice } from '../tcp/splice.ts';
import type { Upstream, UpstreamUser } from '../upstream/pool.ts';
import { BodyMeter } from './body.ts';
import { malformed, needsMore } from './chunked.ts';
import type { Http1Context, Peer } from './context.ts';
import { Refusal } from './fields.ts';
import { forwardedHead, mayRetry, returnedHead } from './forward.ts';
import { HeadBuffer } from './head-buffer.ts';
import type { RequestHead } from './request-head.ts';
import { parseRequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';
import { parseResponseHead } from './response-head.ts';

const joinedBytesMax = 16_384; // a head and so much body leave in one write

/**
 * Serves HTTP/1.1 (RFC 9112) on a client's connection until it ends. Heads are parsed once and
 * sent on in one write; the bytes of bodies pass untouched. All methods are those of one object per
 * connection: a request makes no stream, promise or closure.
 *
 *   head ──▶ exchange ──▶ head …        closing: the last answer is out, the rest is not read
 *               └──▶ tunnel (after 101)
 */
export class Http1Connection implements Mortal, UpstreamUser {
  deadlineMs: number;
  readonly #socket: net.Socket;
  readonly #context: Http1Context;
  readonly #peer: Peer;
  readonly #requestBody: BodyMeter;
  readonly #responseBody: BodyMeter;
  /** Received from the client and not yet used: an unfinished head, or requests that wait. */
  readonly #received: HeadBuffer;
  readonly #answered: HeadBuffer;
  #phase: 'head' | 'exchange' | 'tunnel' | 'closing' = 'head';
  #clientEnded = false;
  #advancing = false;
  #request: RequestHead | undefined;
  #route: Route | undefined;
  #address: Address | undefined;
  #upstream: Upstream | undefined;
  #sentHead = '';
  #response: ResponseHead | undefined;
  #informational = 0;

  constructor(socket: net.Socket, context: Http1Context, peer: Peer) {
    this.#socket = socket;
    this.#context = context;
    this.#peer = peer;
    this.#requestBody = new BodyMeter(context.limits);
    this.#responseBody = new BodyMeter(context.limits);
    this.#received = new HeadBuffer(context.limits);
    this.#answered = new HeadBuffer(context.limits);
    this.deadlineMs = context.deadlines.nowMs + context.limits.headMs;
    context.deadlines.add(this);
    socket.on('data', (bytes: Buffer) => this.#clientData(bytes));
    socket.on('drain', () => this.#upstream?.socket.resume());
    socket.on('end', () => this.#clientEnd());
    socket.on('error', () => undefined);
    socket.on('close', () => {
      context.deadlines.delete(this);
      this.#dropUpstream();
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
    if (this.#phase === 'head' && this.#received.length > 0) this.#page(pages.clientTimeout);
    else if (this.#phase === 'exchange' && !this.#response && this.#requestBody.done) {
      this.#dropUpstream();
      this.#page(pages.timeout);
    } else this.#socket.destroy();
  }

  // === the client's side ===

  #clientData(bytes: Buffer): void {
    if (this.#phase === 'closing') return;
    if (this.#phase === 'exchange' && !this.#requestBody.done) {
      this.#passRequestBody(bytes);
      return;
    }
    this.#received.push(bytes);
    if (this.#phase === 'head') this.#advance();
    else if (this.#received.length > this.#context.limits.pipelinedBytesMax) this.#socket.pause();
  }

  /** A loop, not a recursion: a client may pipeline thousands of requests that get pages. */
  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    while (this.#phase === 'head' && this.#takeRequest());
    this.#advancing = false;
  }

  /** Whether a whole head was there. */
  #takeRequest(): boolean {
    const { limits, deadlines } = this.#context;
    this.#received.skipEmptyLine();
    const text = this.#received.head();
    if (text === undefined) {
      const waitMs = this.#received.length === 0 ? limits.keepAliveMs : limits.headMs;
      // More bytes of an unfinished head buy no more time.
      const runs = this.#received.length > 0 && this.deadlineMs <= deadlines.nowMs + waitMs;
      if (!runs) this.deadlineMs = deadlines.nowMs + waitMs;
      if (this.#clientEnded) this.#socket.end();
      return false;
    }
    const head =
      text === 'too large'
        ? new Refusal(431, 'the head is too large')
        : parseRequestHead(text, limits);
    if (head instanceof Refusal) this.#page(pages.refused(head.status, head.reason));
    else this.#begin(head);
    return true;
  }

  #begin(request: RequestHead): void {
    this.#request = request;
    this.#requestBody.begin(request.framing, request.length);
    const { host, target } = request;
    const decision = decide({ host, target, sni: this.#peer.sni }, this.#context.routing);
    if (decision.kind === 'page') {
      this.#page(decision.page);
      return;
    }
    this.#route = decision.route;
    this.#address = decision.upstream;
    const id = request.requestId ?? this.#context.nextRequestId();
    this.#sentHead = forwardedHead(request, this.#peer, id);
    this.#phase = 'exchange';
    this.#informational = 0;
    this.#send(false);
    this.#waitForResponse();
    if (!this.#requestBody.done && this.#received.length > 0) {
      this.#passRequestBody(this.#received.rest());
    }
  }

  #send(fresh: boolean): void {
    if (!this.#route || !this.#address) return;
    this.#upstream = this.#context.upstreams.take(this.#route, this.#address, this, fresh);
    this.#upstream.socket.write(this.#sentHead, 'latin1');
  }

  #waitForResponse(): void {
    const { deadlines, limits } = this.#context;
    const waitMs = this.#requestBody.done ? limits.responseHeadMs : limits.bodyIdleMs;
    this.deadlineMs = deadlines.nowMs + waitMs;
  }

  #passRequestBody(bytes: Buffer): void {
    const end = this.#requestBody.take(bytes, 0);
    if (end === malformed) {
      this.#dropUpstream();
      if (this.#response) this.#socket.destroy();
      else this.#page(pages.refused(400, 'the chunked body is malformed'));
      return;
    }
    const body = end === needsMore ? bytes : bytes.subarray(0, end);
    if (this.#upstream && !this.#upstream.socket.write(body)) this.#socket.pause();
    if (!this.#response) this.#waitForResponse();
    if (end !== needsMore && end < bytes.length) this.#received.push(bytes.subarray(end));
  }

  #clientEnd(): void {
    this.#clientEnded = true;
    if (this.#phase === 'head') this.#socket.end();
    // A body that was cut off must not look like a whole one to the pod.
    else if (this.#phase === 'exchange' && !this.#requestBody.done) this.#socket.destroy();
    else if (this.#phase === 'closing') this.#socket.destroySoon();
  }

  // === the pod's side ===

  upstreamData(bytes: Buffer): void {
    if (this.#response) {
      this.#passResponseBody(bytes, '');
      return;
    }
    this.#answered.push(bytes);
    while (!this.#response && this.#upstream) {
      const text = this.#answered.head();
      if (text === undefined) return;
      this.#responseHead(text);
    }
  }

  upstreamDrain(): void {
    if (this.#phase === 'exchange') this.#socket.resume();
  }

  upstreamGone(): void {
    const upstream = this.#upstream;
    this.#upstream = undefined;
    upstream?.socket.destroy();
    if (this.#response) {
      if (this.#responseBody.endOfConnection()) this.#responseDone(false);
      else this.#socket.destroy();
      return;
    }
    // It may have closed while idle, before our request reached it.
    const unanswered = this.#answered.length === 0;
    if (upstream?.reused && unanswered && this.#request && mayRetry(this.#request)) {
      this.#send(true);
    } else this.#upstreamFailed();
  }

  #responseHead(text: string): void {
    const { deadlines, limits } = this.#context;
    const request = this.#request;
    const head = request && parseResponseHead(text, request.method);
    if (!head || (request.minor === 0 && head.framing === 'chunked')) {
      this.#upstreamFailed();
    } else if (head.status === 101) {
      this.#tunnel(head, request);
    } else if (head.status < 200) {
      this.#informational += 1;
      if (this.#informational > limits.informationalMax) this.#upstreamFailed();
      else if (request.minor === 1) this.#socket.write(`${head.text}\r\n`, 'latin1');
    } else {
      this.#response = head;
      this.#responseBody.begin(head.framing, head.length);
      this.deadlineMs = deadlines.nowMs + limits.responseIdleMs;
      const returned = returnedHead(head, request, this.#keepsAlive(head));
      this.#passResponseBody(this.#answered.rest(), returned);
    }
  }

  /** Head and the body bytes that came with it leave in one write where they are small. */
  #passResponseBody(bytes: Buffer, head: string): void {
    const end = this.#responseBody.take(bytes, 0);
    if (end === malformed) {
      // Cut, so that the client sees that something is missing.
      this.#dropUpstream();
      this.#socket.destroy();
      return;
    }
    const to = end === needsMore ? bytes.length : end;
    let flowing = true;
    if (head !== '' && to <= joinedBytesMax) {
      flowing = this.#socket.write(head + bytes.toString('latin1', 0, to), 'latin1');
    } else {
      if (head !== '') this.#socket.write(head, 'latin1');
      if (to > 0) flowing = this.#socket.write(bytes.subarray(0, to));
    }
    this.deadlineMs = this.#context.deadlines.nowMs + this.#context.limits.responseIdleMs;
    if (this.#responseBody.done) this.#responseDone(to === bytes.length);
    else if (!flowing) this.#upstream?.socket.pause();
  }

  #keepsAlive(head: ResponseHead): boolean {
    // An answer before the end of the upload: the rest is not waited for.
    const whole = this.#requestBody.done && !this.#clientEnded;
    const wanted = this.#request?.keepAlive === true && !this.#context.draining();
    return whole && wanted && head.framing !== 'close';
  }

  #responseDone(clean: boolean): void {
    const head = this.#response;
    const upstream = this.#upstream;
    const keepAlive = head !== undefined && this.#keepsAlive(head);
    this.#upstream = undefined;
    this.#response = undefined;
    const reusable = clean && head?.keepAlive === true && this.#requestBody.done;
    if (upstream && reusable && this.#request?.minor === 1) {
      this.#context.upstreams.release(upstream);
    } else upstream?.destroy();
    this.#next(keepAlive);
  }

  #tunnel(head: ResponseHead, request: RequestHead): void {
    const upstream = this.#upstream;
    if (!upstream || !request.websocket || !head.websocket) {
      this.#upstreamFailed();
      return;
    }
    this.#phase = 'tunnel';
    this.#upstream = undefined;
    this.#context.deadlines.delete(this);
    this.#socket.removeAllListeners('data').removeAllListeners('end').removeAllListeners('drain');
    this.#socket.write(returnedHead(head, request, true), 'latin1');
    this.#socket.write(this.#answered.rest());
    const pod = upstream.release();
    pod.write(this.#received.rest());
    splice(this.#socket, pod);
  }

  #upstreamFailed(): void {
    this.#dropUpstream();
    if (this.#phase === 'exchange') this.#page(pages.badGateway);
  }

  #dropUpstream(): void {
    this.#upstream?.destroy();
    this.#upstream = undefined;
  }

  // === answers of our own, and what comes next ===

  /** Answers in place of a pod. A body that is still coming is not waited for. */
  #page(page: Page): void {
    const request = this.#request;
    const keepAlive =
      page.code !== pages.badRequestCode &&
      request?.keepAlive === true &&
      this.#requestBody.done &&
      !this.#clientEnded &&
      !this.#context.draining();
    const html = request?.wantsHtml === true;
    const head = request?.method === 'HEAD';
    this.#answered.rest();
    this.#socket.write(renderPage(page, { html, head, keepAlive }), 'latin1');
    this.#next(keepAlive);
  }

  /** The next request, or an end that gives the client a moment to read: a reset could overtake. */
  #next(keepAlive: boolean): void {
    if (keepAlive) {
      this.#phase = 'head';
      this.#socket.resume();
      this.#advance();
      return;
    }
    this.#phase = 'closing';
    this.#received.rest();
    this.deadlineMs = this.#context.deadlines.nowMs + this.#context.limits.drainMs;
    this.#socket.end();
    this.#socket.resume();
    if (this.#clientEnded) this.#socket.destroySoon();
  }
}
