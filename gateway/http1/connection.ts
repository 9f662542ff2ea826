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
import type { RequestHead } from './request-head.ts';
import { parseRequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';
import { parseResponseHead } from './response-head.ts';

const empty = Buffer.alloc(0);
const endOfHead = '\r\n\r\n';

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
  #phase: 'head' | 'exchange' | 'tunnel' | 'closing' = 'head';
  /** Bytes received and not yet used: an unfinished head, or requests that wait. */
  #received: Buffer = empty;
  #clientEnded = false;
  #advancing = false;
  #request: RequestHead | undefined;
  #route: Route | undefined;
  #address: Address | undefined;
  #upstream: Upstream | undefined;
  #sentHead = '';
  #answer: Buffer = empty;
  #response: ResponseHead | undefined;
  #informational = 0;

  constructor(socket: net.Socket, context: Http1Context, peer: Peer) {
    this.#socket = socket;
    this.#context = context;
    this.#peer = peer;
    this.#requestBody = new BodyMeter(context.limits);
    this.#responseBody = new BodyMeter(context.limits);
    this.deadlineMs = context.deadlines.nowMs + context.limits.headMs;
    context.deadlines.add(this);
    socket.on('data', (bytes: Buffer) => this.#clientData(bytes));
    socket.on('drain', () => this.#upstream?.socket.resume());
    socket.on('end', () => this.#clientEnd());
    socket.on('error', () => undefined);
    socket.on('close', () => this.#clientGone());
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
      this.#passRequestBody(bytes, 0);
      return;
    }
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    if (this.#phase === 'head') this.#nextRequest();
    else if (this.#received.length > this.#context.limits.pipelinedBytesMax) this.#socket.pause();
  }

  /** A loop, not a recursion: a client may pipeline thousands of requests that get pages. */
  #nextRequest(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    while (this.#phase === 'head' && this.#takeRequest());
    this.#advancing = false;
  }

  /** Whether a whole head was there. */
  #takeRequest(): boolean {
    const { limits, deadlines } = this.#context;
    // RFC 9112, 2.2: an empty line before a request is left over from a sloppy client's body.
    if (this.#received.length > 1 && this.#received[0] === 0x0d && this.#received[1] === 0x0a) {
      this.#received = this.#received.subarray(2);
    }
    if (this.#received.length === 0) {
      this.deadlineMs = deadlines.nowMs + limits.keepAliveMs;
      if (this.#clientEnded) this.#socket.end();
      return false;
    }
    const end = this.#received.indexOf(endOfHead);
    if (end < 0 ? this.#received.length > limits.headBytesMax : end > limits.headBytesMax) {
      this.#page(pages.refused(431, 'the head is too large'));
    } else if (end >= 0) {
      const head = parseRequestHead(this.#received.toString('latin1', 0, end), limits);
      const rest = this.#received.subarray(end + endOfHead.length);
      this.#received = empty;
      if (head instanceof Refusal) this.#page(pages.refused(head.status, head.reason));
      else this.#begin(head, rest);
      return true;
    } else if (this.deadlineMs > deadlines.nowMs + limits.headMs) {
      this.deadlineMs = deadlines.nowMs + limits.headMs;
    }
    return false;
  }

  #begin(request: RequestHead, rest: Buffer): void {
    this.#request = request;
    this.#requestBody.begin(request.framing, request.length);
    const { host, target } = request;
    const decision = decide({ host, target, sni: this.#peer.sni }, this.#context.routing);
    if (decision.kind === 'page') {
      this.#received = rest;
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
    if (rest.length > 0) this.#clientData(rest);
  }

  #send(fresh: boolean): void {
    const { upstreams } = this.#context;
    if (!this.#route || !this.#address) return;
    this.#upstream = upstreams.take(this.#route, this.#address, this, fresh);
    this.#upstream.socket.write(this.#sentHead, 'latin1');
  }

  #waitForResponse(): void {
    const { deadlines, limits } = this.#context;
    const waitMs = this.#requestBody.done ? limits.responseHeadMs : limits.bodyIdleMs;
    this.deadlineMs = deadlines.nowMs + waitMs;
  }

  #passRequestBody(bytes: Buffer, from: number): void {
    const end = this.#requestBody.take(bytes, from);
    if (end === malformed) {
      this.#dropUpstream();
      if (this.#response) this.#socket.destroy();
      else this.#page(pages.refused(400, 'the chunked body is malformed'));
      return;
    }
    const body = end === needsMore ? bytes : bytes.subarray(from, end);
    if (this.#upstream && !this.#upstream.socket.write(body)) this.#socket.pause();
    this.#waitForResponse();
    if (end !== needsMore && end < bytes.length) this.#received = bytes.subarray(end);
  }

  #clientEnd(): void {
    this.#clientEnded = true;
    if (this.#phase === 'head') this.#socket.end();
    // A body that was cut off must not look like a whole one to the pod.
    else if (this.#phase === 'exchange' && !this.#requestBody.done) this.#socket.destroy();
    else if (this.#phase === 'closing') this.#socket.destroySoon();
  }

  #clientGone(): void {
    this.#context.deadlines.delete(this);
    this.#dropUpstream();
  }

  // === the pod's side ===

  upstreamData(bytes: Buffer): void {
    if (this.#response) {
      this.#passResponseBody(bytes, 0, '');
      return;
    }
    const { limits } = this.#context;
    this.#answer = this.#answer.length === 0 ? bytes : Buffer.concat([this.#answer, bytes]);
    while (!this.#response && this.#upstream) {
      const end = this.#answer.indexOf(endOfHead);
      if (end < 0 || end > limits.headBytesMax) {
        if (this.#answer.length > limits.headBytesMax) this.#upstreamFailed();
        return;
      }
      const answer = this.#answer;
      const after = end + endOfHead.length;
      this.#answer = answer.subarray(after);
      this.#responseHead(answer.toString('latin1', 0, end), answer, after);
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
    const unanswered = this.#answer.length === 0;
    if (upstream?.reused && unanswered && this.#request && mayRetry(this.#request)) {
      this.#send(true);
    } else this.#upstreamFailed();
  }

  #responseHead(text: string, answer: Buffer, after: number): void {
    const { deadlines, limits } = this.#context;
    const request = this.#request;
    const head = request && parseResponseHead(text, request.method);
    if (!head || (request.minor === 0 && head.framing === 'chunked')) {
      this.#upstreamFailed();
      return;
    }
    if (head.status === 101) {
      this.#tunnel(head, request, answer.subarray(after));
      return;
    }
    if (head.status < 200) {
      this.#informational += 1;
      if (this.#informational > limits.informationalMax) this.#upstreamFailed();
      else if (request.minor === 1) this.#socket.write(`${head.text}\r\n`, 'latin1');
      return;
    }
    this.#answer = empty;
    this.#response = head;
    this.#responseBody.begin(head.framing, head.length);
    this.deadlineMs = deadlines.nowMs + limits.responseIdleMs;
    this.#passResponseBody(answer, after, returnedHead(head, request, this.#keepsAlive(head)));
  }

  /** Head and the body bytes that came with it leave in one write where they are small. */
  #passResponseBody(bytes: Buffer, from: number, head: string): void {
    const end = this.#responseBody.take(bytes, from);
    const to = end === needsMore ? bytes.length : end;
    let flowing = true;
    if (head !== '' && end !== malformed && to - from <= 16_384) {
      flowing = this.#socket.write(head + bytes.toString('latin1', from, to), 'latin1');
    } else {
      if (head !== '') this.#socket.write(head, 'latin1');
      if (end !== malformed && to > from) flowing = this.#socket.write(bytes.subarray(from, to));
    }
    if (end === malformed) {
      this.#dropUpstream();
      this.#socket.destroySoon();
      return;
    }
    this.deadlineMs = this.#context.deadlines.nowMs + this.#context.limits.responseIdleMs;
    if (!flowing) this.#upstream?.socket.pause();
    if (this.#responseBody.done) this.#responseDone(to === bytes.length);
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
    if (!keepAlive) {
      this.#close();
      return;
    }
    this.#phase = 'head';
    this.#socket.resume();
    this.#nextRequest();
  }

  #tunnel(head: ResponseHead, request: RequestHead, rest: Buffer): void {
    const upstream = this.#upstream;
    if (!upstream || !request.websocket || !head.websocket) {
      this.#upstreamFailed();
      return;
    }
    this.#phase = 'tunnel';
    upstream.user = undefined;
    this.#upstream = undefined;
    this.#context.deadlines.delete(this);
    this.#socket.removeAllListeners('data').removeAllListeners('end').removeAllListeners('drain');
    upstream.socket.removeAllListeners('data').removeAllListeners('end');
    this.#socket.write(returnedHead(head, request, true), 'latin1');
    if (rest.length > 0) this.#socket.write(rest);
    if (this.#received.length > 0) upstream.socket.write(this.#received);
    splice(this.#socket, upstream.socket);
  }

  #upstreamFailed(): void {
    this.#dropUpstream();
    if (this.#phase === 'exchange') this.#page(pages.badGateway);
  }

  #dropUpstream(): void {
    this.#upstream?.destroy();
    this.#upstream = undefined;
  }

  // === answers of our own ===

  /** Answers in place of a pod. A body that is still coming is not waited for. */
  #page(page: Page): void {
    const request = this.#request;
    const refused = page.code === pages.refused(400, '').code;
    const keepAlive =
      !refused && request?.keepAlive === true && this.#requestBody.done && !this.#clientEnded;
    const options = {
      html: request?.wantsHtml === true,
      head: request?.method === 'HEAD',
      keepAlive: keepAlive && !this.#context.draining(),
    };
    this.#answer = empty;
    this.#socket.write(renderPage(page, options), 'latin1');
    if (!options.keepAlive) {
      this.#close();
      return;
    }
    this.#phase = 'head';
    this.#nextRequest();
  }

  /** Ends our side and gives the client a moment to read it; a reset could overtake the answer. */
  #close(): void {
    this.#phase = 'closing';
    this.#received = empty;
    this.deadlineMs = this.#context.deadlines.nowMs + this.#context.limits.drainMs;
    this.#socket.end();
    this.#socket.resume();
    if (this.#clientEnded) this.#socket.destroySoon();
  }
}
