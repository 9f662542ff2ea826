import type net from 'node:net';
import type { Policy } from '#contracts/policy.ts';
import type { SocketUser } from '../client-socket.ts';
import { handOver, lender, serve } from '../client-socket.ts';
import { RequestMeter } from '../observe/request-meter.ts';
import type { Page } from '../pages/pages.ts';
import { pages } from '../pages/pages.ts';
import { challengeToAsk, decide } from '../routing.ts';
import type { ContentSink, Exchange, ExchangeClient } from '../upstream/exchange.ts';
import { H2cExchange } from '../upstream/h2c-exchange.ts';
import { WebSocketTunnel } from '../websocket-tunnel.ts';
import type { AnswerOwner } from './answer.ts';
import { Http1Answer } from './answer.ts';
import { BodyMeter } from './body.ts';
import type { BodySink } from './chunked.ts';
import { malformed, needsMore } from './chunked.ts';
import type { Http1Context, Peer } from './context.ts';
import { Http1Exchange } from './exchange.ts';
import { Refusal } from './fields.ts';
import { Introductions } from './forwarding.ts';
import type { RequestHead } from './request-head.ts';
import { RequestReader } from './request-reader.ts';
import type { ResponseHead } from './response-head.ts';

/**
 * Serves HTTP/1.1 (RFC 9112) on a client's connection until it ends. Heads are parsed once and
 * sent on in one write; the bytes of bodies pass untouched. All methods are those of a few objects
 * per connection: a request makes no stream, promise or closure.
 *
 *   head ──▶ exchange ──▶ head …        closing: the last answer is out, the rest is not read
 *               └──▶ tunnel (after 101)
 */
export class Http1Connection implements ExchangeClient, AnswerOwner, BodySink, SocketUser {
  deadlineMs: number;
  readonly #meter: RequestMeter;
  readonly #requestBody: BodyMeter;
  readonly #socket: net.Socket;
  readonly #context: Http1Context;
  readonly #peer: Peer;
  readonly #introductions: Introductions;
  readonly #answer: Http1Answer;
  readonly #http1: Http1Exchange;
  #h2c: H2cExchange | undefined;
  /** The one of the two that the request under way goes to. */
  #exchange: Exchange;
  readonly #received: RequestReader;
  #phase: 'head' | 'exchange' | 'tunnel' | 'closing' = 'head';
  #advancing = false;
  #clientEnded = false;
  /** The head of the answer is out, or is decided: a page cannot be. */
  #answering = false;
  #request: RequestHead | undefined;
  #policy: Policy | undefined;

  constructor(socket: net.Socket, context: Http1Context, peer: Peer) {
    this.#socket = socket;
    this.#context = context;
    this.#peer = peer;
    this.#meter = new RequestMeter(context.meters, 'http1', peer.address);
    this.#introductions = new Introductions(peer, context.forwardedHeader);
    this.#requestBody = new BodyMeter(context.limits);
    this.#received = new RequestReader(context.limits);
    this.#answer = new Http1Answer(socket, { context, peer, meter: this.#meter }, this);
    this.#http1 = new Http1Exchange(context, this, lender(socket));
    this.#exchange = this.#http1;
    this.deadlineMs = context.deadlines.nowMs + context.limits.headMs;
    context.deadlines.add(this);
    serve(socket, this);
  }

  closed(): void {
    this.#context.connections.delete(this);
    this.#context.deadlines.delete(this);
    this.#exchange.abandon();
    this.#answer.abandon();
  }

  /** The last answer has left: from here on only the client's own end is waited for. */
  finished(): void {
    this.deadlineMs = this.#context.deadlines.nowMs + this.#context.limits.drainMs;
  }

  /** Ends with the next answer. Where nothing is under way, a request may be on its way to us. */
  drain(): void {
    if (!this.#idle) return;
    const { deadlines, limits } = this.#context;
    this.deadlineMs = Math.min(this.deadlineMs, deadlines.nowMs + limits.drainLingerMs);
  }

  get #idle(): boolean {
    return this.#phase === 'head' && this.#received.length === 0;
  }

  expire(): void {
    const stalled = this.#socket.writableNeedDrain;
    if (this.#idle && !stalled) this.#next(false);
    else if (this.#phase === 'head' && !stalled) this.failed(pages.clientTimeout);
    else if (this.#phase === 'exchange' && !this.#answering && this.requestDone) {
      this.#exchange.abandon();
      this.failed(pages.timeout);
    } else {
      this.#meter.expired();
      this.#socket.destroy();
    }
  }

  get requestDone(): boolean {
    return this.#requestBody.done;
  }

  get blocked(): boolean {
    return this.#answer.blocked;
  }

  pauseRequest(): void {
    this.#socket.pause();
  }

  resumeRequest(): void {
    this.#socket.resume();
  }

  /** Of the request's body, for a pod that does not take it as the client framed it. */
  content(bytes: Buffer): void {
    this.#exchange.sendContent(bytes);
  }

  informational(head: ResponseHead): void {
    if (this.#request?.minor === 1) this.#answer.informational(head);
  }

  answer(head: ResponseHead, body: 'framed' | 'content'): ContentSink | undefined {
    const request = this.#request;
    if (!request) return undefined;
    this.#answering = true;
    const mayGoOn = this.#mayGoOn(request);
    return this.#answer.begin(head, { request, body, mayGoOn, policy: this.#policy });
  }

  framed(bytes: Buffer | string): void {
    this.#answer.framed(bytes);
  }

  framedEnd(): void {
    this.#answer.framedEnd();
  }

  answered(keepAlive: boolean): void {
    this.#next(keepAlive && !this.#context.draining());
  }

  coderDrained(): void {
    if (!this.blocked) this.#exchange.clientDrained();
  }

  cut(): void {
    this.#meter.cut();
    this.#socket.destroy();
  }

  tunnel(head: ResponseHead, pod: net.Socket, first: Buffer): void {
    if (!this.#request) return;
    this.#phase = 'tunnel';
    this.#context.deadlines.delete(this);
    handOver(this.#socket);
    this.#answer.switched(head, this.#request);
    pod.write(this.#received.rest());
    this.#meter.tunnel(pod, first);
    new WebSocketTunnel({ client: this.#socket, pod }, this.#context, () => this.cut()).open(first);
  }

  received(bytes: Buffer): void {
    if (this.#phase === 'closing') return;
    this.#meter.received(bytes.length);
    try {
      if (this.#phase === 'exchange' && !this.requestDone) this.#passBody(bytes);
      else {
        this.#received.push(bytes);
        this.#advance();
      }
    } finally {
      // Also after a fault: the memory is another client's next.
      this.#received.keep();
    }
    if (this.#received.length > this.#context.limits.pipelinedBytesMax) this.#socket.pause();
  }

  drained(): void {
    this.#exchange.clientDrained();
    if (this.#phase !== 'head') return;
    this.#socket.resume();
    this.#advance();
  }

  ended(): void {
    this.#clientEnded = true;
    if (this.#phase === 'head') this.#advance();
    else if (this.#phase === 'closing') this.#socket.destroySoon();
    // A body that was cut off must not look like a whole one to the pod.
    else if (this.#phase === 'exchange' && !this.requestDone) this.#socket.destroy();
  }

  /** A loop: thousands may be pipelined. Who does not read the answers gets no more of them. */
  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    while (this.#phase === 'head' && !this.#socket.writableNeedDrain && this.#takeRequest());
    this.#advancing = false;
  }

  /** Whether a whole head was there. */
  #takeRequest(): boolean {
    const head = this.#received.request();
    if (head === undefined) this.#awaitHead();
    else if (head instanceof Refusal) this.failed(pages.refused(head.status, head.reason));
    else this.#begin(head);
    return head !== undefined;
  }

  #awaitHead(): void {
    this.deadlineMs = this.#received.deadlineMs(this.#context.deadlines.nowMs, this.deadlineMs);
    if (this.#clientEnded) this.#next(false);
  }

  #begin(request: RequestHead): void {
    this.#request = request;
    this.#requestBody.begin(request.framing, request.length);
    const unknown = challengeToAsk(request, this.#context.routing);
    if (unknown === undefined || !this.requestDone) this.#decide(request);
    else {
      this.#phase = 'exchange';
      this.#context.challenges.get(unknown, () => {
        if (this.#request === request && !this.#socket.destroyed) this.#decide(request);
      });
    }
  }

  #decide(request: RequestHead): void {
    const decision = decide(request, this.#peer, this.#context.routing);
    this.#policy = decision.route?.policy;
    const id = request.requestId ?? this.#context.nextRequestId();
    this.#meter.begin(decision.route, request, id);
    if (decision.kind === 'page') {
      this.failed(decision.page);
      return;
    }
    this.#phase = 'exchange';
    const { route, upstream } = decision;
    const introduction = this.#introductions.of(request);
    if (route.policy?.h2c) {
      this.#exchange = this.#h2c ??= new H2cExchange(this.#context, this, lender(this.#socket));
      this.#requestBody.begin(request.framing, request.length, this);
    } else this.#exchange = this.#http1;
    this.#exchange.begin({ request, introduction, id, route, upstream, meter: this.#meter });
    if (!this.requestDone && this.#received.length > 0) this.#passBody(this.#received.rest());
    if (this.#clientEnded) this.ended();
  }

  #passBody(bytes: Buffer): void {
    const end = this.#requestBody.take(bytes, 0);
    if (end === malformed) {
      this.#exchange.abandon();
      if (this.#answering) this.#socket.destroy();
      else this.failed(pages.refused(400, 'the chunked body is malformed'));
      return;
    }
    if (this.#exchange === this.#http1) {
      this.#http1.sendFramed(end === needsMore ? bytes : bytes.subarray(0, end));
    } else if (this.requestDone) this.#exchange.endContent(this.#requestBody.trailers);
    if (end !== needsMore && end < bytes.length) this.#received.push(bytes.subarray(end));
  }

  #mayGoOn({ keepAlive }: RequestHead): boolean {
    return this.requestDone && keepAlive && !this.#context.draining();
  }

  /** Answers in place of a pod. A body that is still coming is not waited for. */
  failed(page: Page): void {
    const request = this.#request;
    const readable = page.code !== pages.badRequestCode && request?.websocket === false;
    const keepAlive = readable && this.#mayGoOn(request);
    this.#answer.page(page, { request, policy: this.#policy, keepAlive });
    this.#next(keepAlive);
  }

  /** The next request, or an end that gives the client a moment to read: a reset could overtake. */
  #next(keepAlive: boolean): void {
    this.#request = undefined;
    this.#policy = undefined;
    this.#answering = false;
    this.deadlineMs = this.#context.deadlines.nowMs + this.#context.limits.bodyIdleMs;
    this.#phase = keepAlive ? 'head' : 'closing';
    if (!keepAlive) this.#received.rest();
    if (!keepAlive) this.#socket.end();
    this.#socket.resume();
    if (keepAlive) this.#advance();
    else if (this.#clientEnded) this.#socket.destroySoon();
  }
}
