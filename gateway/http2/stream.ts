import type net from 'node:net';
import type { Policy } from '#contracts/policy.ts';
import type { Lend } from '../client-socket.ts';
import type { Peer } from '../http1/context.ts';
import { Http1Exchange } from '../http1/exchange.ts';
import { Refusal, valueOf } from '../http1/fields.ts';
import type { Introductions } from '../http1/forwarding.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { RequestMeter } from '../observe/request-meter.ts';
import type { Page } from '../pages/pages.ts';
import { pages } from '../pages/pages.ts';
import { challengeToAsk, decide } from '../routing.ts';
import type { ContentSink, Exchange, ExchangeClient } from '../upstream/exchange.ts';
import { H2cExchange } from '../upstream/h2c-exchange.ts';
import { acceptFor } from '../websocket.ts';
import { WebSocketTunnel } from '../websocket-tunnel.ts';
import type { AnswerTerms } from './answer.ts';
import { Http2Answer } from './answer.ts';
import { errors } from './protocol.ts';
import type { SharedReceiveWindow } from './receive-window.ts';
import { RequestBody } from './request-body.ts';
import { TunnelSide } from './tunnel-side.ts';

/** What a stream needs of its connection. */
export interface StreamTerms extends AnswerTerms {
  readonly peer: Peer;
  readonly introductions: Introductions;
  readonly received: SharedReceiveWindow;
  readonly lend: Lend;
  /** It is over. `byClient`: by the client as well. */
  closed(stream: Http2Stream, byClient: boolean): void;
}

/**
 * One HTTP/2 stream: a request and its answer, into the same exchange as HTTP/1.1 has. The object
 * serves one stream after the other; a request makes no closure and no stream of Node's.
 */
export class Http2Stream implements ExchangeClient {
  id = 0;
  deadlineMs = Infinity;
  /** The request is whole, or what comes is not the exchange's business. */
  requestDone = false;
  readonly #terms: StreamTerms;
  readonly #meter: RequestMeter;
  readonly #answer: Http2Answer;
  readonly #body: RequestBody;
  /** Of the answer, since the client was last found to make progress. */
  #moved = 0;
  #request: RequestHead | undefined;
  #policy: Policy | undefined;
  #exchange: Exchange | undefined;
  #http1: Http1Exchange | undefined;
  /** The client's side of a WebSocket; until the pod has agreed, it keeps what comes. */
  #tunnel: TunnelSide | undefined;
  #switched = false;
  #open = false;

  constructor(terms: StreamTerms) {
    const { context, peer, sendWindow } = terms;
    this.#terms = terms;
    this.#meter = new RequestMeter(context.meters, 'http2', peer.address);
    this.#answer = new Http2Answer(terms, this.#meter, this);
    const { h2StreamWindowBytes } = context.limits;
    this.#body = new RequestBody(sendWindow.writer, terms.received, h2StreamWindowBytes);
  }

  /** It left nothing behind that could be heard of in another stream. */
  get reusable(): boolean {
    return !this.#answer.coded && !this.#tunnel;
  }

  get blocked(): boolean {
    return this.#answer.blocked;
  }

  /** `ended`: nothing follows the head. `window`: how much the client takes of the answer. */
  open(id: number, { ended, window }: { readonly ended: boolean; readonly window: number }): void {
    const { deadlines, limits } = this.#terms.context;
    this.id = id;
    this.#open = true;
    this.requestDone = ended;
    this.#body.begin(id, ended);
    this.#moved = 0;
    this.#request = undefined;
    this.#policy = undefined;
    this.#exchange = undefined;
    this.#answer.reset(id, window);
    this.deadlineMs = deadlines.nowMs + limits.bodyIdleMs;
    deadlines.add(this);
  }

  /** `bytes`: of its head, as HTTP/1.1 would have it. */
  begin(request: RequestHead | Refusal, bytes: number): void {
    this.#meter.received(bytes);
    if (request instanceof Refusal) {
      this.failed(pages.refused(request.status, request.reason));
      return;
    }
    const { context } = this.#terms;
    this.#request = request;
    if (request.framing === 'length') this.#body.expect(request.length);
    const unknown = challengeToAsk(request, context.routing);
    if (unknown === undefined || !this.requestDone) {
      this.#decide(request);
      return;
    }
    context.challenges.get(unknown, () => {
      if (this.#open && this.#request === request) this.#decide(request);
    });
  }

  #decide(request: RequestHead): void {
    const { context, peer, introductions, lend } = this.#terms;
    const decision = decide(request, peer, context.routing);
    this.#policy = decision.route?.policy;
    const id = request.requestId ?? context.nextRequestId();
    this.#meter.begin(decision.route, request, id);
    if (decision.kind === 'page') {
      this.failed(decision.page);
      return;
    }
    const { route, upstream } = decision;
    const exchange = route.policy?.h2c
      ? new H2cExchange(context, this, lend)
      : (this.#http1 ??= new Http1Exchange(context, this, lend));
    this.#exchange = exchange;
    if (request.websocket) {
      this.requestDone = true;
      this.#tunnel = new TunnelSide(this);
      if (this.#body.done) this.#tunnel.receiveEnd();
    }
    const introduction = introductions.of(request);
    exchange.begin({ request, introduction, id, route, upstream, meter: this.#meter });
  }

  /** What is wrong with a frame of DATA that takes so many bytes of the window, or nothing. */
  takes(bytes: number): number {
    return this.#body.takes(bytes);
  }

  /** Content of the request; returns what is wrong with it, or nothing. */
  content(bytes: Buffer): number {
    const wrong = this.#body.judge(bytes.length);
    if (wrong !== errors.none) return wrong;
    if (this.#tunnel) this.#tunnel.receive(this.#terms.lend(bytes));
    else {
      this.#meter.received(bytes.length);
      this.#exchange?.sendContent(bytes);
    }
    this.#body.used(bytes.length);
    return errors.none;
  }

  /** Bytes of the window that were no content. */
  padding(bytes: number): void {
    this.#body.used(bytes);
  }

  /** `trailers`: field lines, each with CRLF, or undefined. Returns what is wrong with them here, or nothing. */
  contentEnds(trailers: string | undefined): number {
    const wrong = this.#body.ends();
    if (wrong !== errors.none) return wrong;
    if (trailers === undefined) return errors.protocol;
    if (this.#tunnel) this.#tunnel.receiveEnd();
    else {
      this.requestDone = true;
      this.#exchange?.endContent(trailers);
    }
    if (this.#answer.outbound.ended) this.#close(true);
    return errors.none;
  }

  /** The client takes so many bytes more; false when that is more than there can be. */
  windowOpened(bytes: number): boolean {
    return this.#answer.outbound.opened(bytes);
  }

  /** The client has given it up, or is gone. */
  left(): void {
    this.#close(true);
    this.#tunnel?.destroy();
  }

  /** Ends it with an error; what the client does not know yet is not held against it. */
  reset(code: number): void {
    if (!this.#open) return;
    this.#terms.sendWindow.writer.reset(this.id, code);
    this.#close(this.#body.done);
    this.#tunnel?.destroy();
  }

  expire(): void {
    if (!this.#answer.begun && this.requestDone && this.#exchange) {
      this.#exchange.abandon();
      this.failed(pages.timeout);
    } else {
      this.#meter.expired();
      this.reset(errors.cancel);
    }
  }

  pauseRequest(): void {
    this.#body.pause();
  }

  resumeRequest(): void {
    this.#body.resume();
  }

  informational(head: ResponseHead): void {
    this.#answer.informational(head);
  }

  answer(head: ResponseHead): ContentSink {
    return this.#answer.begin(head, this.#request, this.#policy);
  }

  /** Never asked for: the pod's framing means nothing here. */
  framed = (): void => this.cut();
  framedEnd = (): void => this.cut();

  failed(page: Page): void {
    if (this.#open) this.#answer.page(page, this.#request, this.#policy);
  }

  cut(): void {
    this.#meter.cut();
    this.reset(errors.internal);
  }

  tunnel(head: ResponseHead, pod: net.Socket, first: Buffer): void {
    const key = valueOf('sec-websocket-key', this.#request?.fields ?? '');
    const side = this.#tunnel;
    if (!side || valueOf('sec-websocket-accept', head.text) !== acceptFor(key)) {
      pod.destroy();
      this.failed(pages.badGateway);
      return;
    }
    const { context } = this.#terms;
    this.#switched = true;
    this.#exchange = undefined;
    context.deadlines.delete(this);
    this.#answer.webSocket(head);
    this.#meter.tunnel(pod, first);
    // RFC 8441, 5.1: the death of the TCP connection is told by CANCEL.
    const cut = (): void => this.reset(errors.cancel);
    new WebSocketTunnel({ client: side, pod }, context, cut).open(first);
  }

  tunnelWrites(bytes: Buffer): void {
    this.#answer.outbound.send(bytes);
  }

  /** Whether the end has left. */
  tunnelEnds(): boolean {
    this.#answer.outbound.end('', '');
    return this.#answer.outbound.ended;
  }

  tunnelGone(): void {
    this.reset(errors.cancel);
  }

  coderDrained(): void {
    if (!this.blocked) this.#exchange?.clientDrained();
  }

  outboundDrained(): void {
    this.#tunnel?.drained();
    if (!this.blocked) this.#exchange?.clientDrained();
  }

  /** A client that takes a byte now and then takes for ever. */
  outboundMoved(bytes: number): void {
    const { deadlines, limits } = this.#terms.context;
    this.#moved += bytes;
    if (this.#moved < limits.bodyBytesPerIdleMin) return;
    this.#moved = 0;
    this.deadlineMs = deadlines.nowMs + limits.bodyIdleMs;
  }

  outboundEnded(): void {
    if (this.#switched) this.#tunnel?.drained();
    if (this.#body.done) this.#close(true);
    // The answer is whole, and the rest of the request of no use to anybody (RFC 9113, 8.1).
    else if (!this.#switched) this.reset(errors.none);
  }

  #close(byClient: boolean): void {
    if (!this.#open) return;
    this.#open = false;
    this.#terms.context.deadlines.delete(this);
    this.#exchange?.abandon();
    this.#exchange = undefined;
    this.#answer.abandon();
    this.#body.release();
    this.#terms.closed(this, byClient);
  }
}
