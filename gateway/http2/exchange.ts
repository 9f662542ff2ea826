import type { ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import type net from 'node:net';
import type { Policy } from '#contracts/policy.ts';
import type { CoderOwner } from '../compression/coder.ts';
import { Coder } from '../compression/coder.ts';
import type { Negotiated } from '../compression/negotiate.ts';
import { negotiate } from '../compression/negotiate.ts';
import { originFields } from '../cors.ts';
import { dressed } from '../dressing.ts';
import type { Http1Context, Peer } from '../http1/context.ts';
import { Http1Exchange } from '../http1/exchange.ts';
import type { Introductions } from '../http1/forwarding.ts';
import { Refusal } from '../http1/fields.ts';
import type { LastFields, RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { RequestMeter } from '../observe/request-meter.ts';
import type { Page } from '../pages/pages.ts';
import { pages } from '../pages/pages.ts';
import { decide } from '../routing.ts';
import type { ContentSink, Exchange, ExchangeClient } from '../upstream/exchange.ts';
import { H2cExchange } from '../upstream/h2c-exchange.ts';
import { acceptFor, closeCodeOf, closeFrame } from '../websocket.ts';
import { WebSocketTunnel } from '../websocket-tunnel.ts';
import { readBody } from './body.ts';
import { asThePodSaid, answerFields, headBytes, headersObject, trailersObject } from './fields.ts';
import { pageAnswer } from './page.ts';
import { requestHead } from './request.ts';
import type { Http2Terms } from './terms.ts';

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants;

/** One HTTP/2 stream: a request and its answer, into the same exchange as HTTP/1.1 has. */
export class Http2Exchange implements ExchangeClient, ContentSink, CoderOwner {
  deadlineMs: number;
  requestDone: boolean;
  readonly #stream: ServerHttp2Stream;
  readonly #context: Http1Context;
  readonly #peer: Peer;
  readonly #introductions: Introductions;
  readonly #last: LastFields;
  readonly #meter: RequestMeter;
  #request: RequestHead | undefined;
  #exchange: Exchange | undefined;
  #webSocketKey = '';
  #answering = false;
  /** The answer was begun with room for trailers, and waits for them. */
  #trailing = false;
  /** The answer is ours, and too small to compress. */
  #paged = false;
  /** The answer is out, and the rest of the request is of no use to anybody. */
  #left = false;
  #policy: Policy | undefined;
  #coder: Coder | undefined;
  /** The newest content, held so that the last of it can leave together with the end. */
  #held: Buffer | undefined;

  constructor(
    stream: ServerHttp2Stream,
    { context, peer, introductions, last, ended, closed }: Http2Terms,
  ) {
    this.#stream = stream;
    this.#context = context;
    this.#peer = peer;
    this.#introductions = introductions;
    this.#last = last;
    this.#meter = new RequestMeter(context.meters, 'http2', peer.address);
    this.requestDone = ended;
    this.deadlineMs = context.deadlines.nowMs + context.limits.bodyIdleMs;
    context.deadlines.add(this);
    stream.on('error', () => undefined);
    stream.on('close', () => {
      closed();
      context.deadlines.delete(this);
      this.#exchange?.abandon();
      this.#coder?.abandon();
      this.#meter.left();
    });
  }

  /** `raw`: the fields as they came, names and values in turn. */
  begin(raw: readonly string[]): void {
    const { limits, routing } = this.#context;
    this.#meter.received(headBytes(raw));
    if (raw.includes(':protocol')) {
      this.#webSocketKey = this.#context.random.bytes(16).toString('base64');
    }
    const request = requestHead(
      { raw, ended: this.requestDone, webSocketKey: this.#webSocketKey, last: this.#last },
      limits,
    );
    if (request instanceof Refusal) {
      this.#page(pages.refused(request.status, request.reason));
      return;
    }
    this.#request = request;
    const decision = decide(request, this.#peer, routing);
    this.#policy = decision.route?.policy;
    const id = request.requestId ?? this.#context.nextRequestId();
    this.#meter.begin(decision.route, request, id);
    if (decision.kind === 'page') {
      this.#page(decision.page);
      return;
    }
    const { route, upstream } = decision;
    const introduction = this.#introductions.of(request);
    const Pod = route.policy?.h2c ? H2cExchange : Http1Exchange;
    this.#exchange = new Pod(this.#context, this);
    // The stream of a WebSocket stays open: what comes on it waits for the tunnel.
    if (request.websocket) this.requestDone = true;
    this.#exchange.begin({ request, introduction, id, route, upstream, meter: this.#meter });
    if (!this.requestDone) this.#listen(this.#exchange);
  }

  get blocked(): boolean {
    return this.#stream.writableNeedDrain || this.#coder?.blocked === true;
  }

  expire(): void {
    if (this.#left) this.#stream.close(NGHTTP2_NO_ERROR);
    else if (!this.#answering && this.requestDone && this.#exchange) {
      this.#exchange.abandon();
      this.#page(pages.timeout);
    } else {
      this.#meter.expired();
      this.#stream.close(NGHTTP2_CANCEL);
    }
  }

  pauseRequest(): void {
    this.#stream.pause();
  }

  resumeRequest(): void {
    this.#stream.resume();
  }

  informational(head: ResponseHead): void {
    if (this.#gone) return;
    this.#stream.additionalHeaders(headersObject(head));
  }

  answer(asGiven: ResponseHead): ContentSink {
    const cors = this.#paged ? undefined : this.#policy?.cors;
    const origin = this.#request?.origin ?? '';
    const { head, coding } = this.#negotiated(dressed(asGiven, cors, origin, this.#context.hsts));
    this.#answering = true;
    if (!this.#paged) this.#meter.answered(head.status);
    this.#meter.sent(head.text.length);
    const endStream = head.framing === 'none';
    if (!this.#gone) {
      const waitForTrailers = !endStream && head.framing !== 'length';
      this.#trailing = waitForTrailers;
      const options = { endStream, waitForTrailers, sendDate: false };
      this.#stream.respond([':status', String(head.status), ...answerFields(head)], options);
    }
    if (!coding) return this;
    this.#coder = new Coder(coding, this, { owner: this, coders: this.#context.coders });
    return this.#coder;
  }

  content(bytes: Buffer): void {
    this.flush();
    this.#held = bytes;
  }

  flush(): void {
    if (this.#held && !this.#gone) {
      this.#meter.sent(this.#held.length);
      const room = this.#stream.write(this.#held);
      if (!room) this.#stream.once('drain', () => this.#exchange?.clientDrained());
    }
    this.#held = undefined;
  }

  end(trailers: string): void {
    const last = this.#held;
    this.#held = undefined;
    if (last) this.#meter.sent(last.length);
    this.#meter.end();
    if (this.#gone) return;
    if (!this.#stream.writableEnded) {
      if (this.#trailing)
        this.#stream.once('wantTrailers', () =>
          this.#stream.sendTrailers(trailersObject(trailers)),
        );
      if (last) this.#stream.end(last);
      else this.#stream.end();
    }
    if (!this.requestDone || this.#request?.websocket) this.#leaveUnread();
    // One that was never read ends by itself, and later: when its answer is out. Read now, it would
    // end under the answer's last write, which costs node:http2 an error with a stack.
    else if (this.#stream.readableFlowing !== null) this.#stream.resume();
  }

  /** Never asked for: the pod's framing means nothing here. */
  framed(): void {
    this.cut();
  }

  framedEnd(): void {
    this.cut();
  }

  coderDrained(): void {
    if (!this.blocked) this.#exchange?.clientDrained();
  }

  failed(page: Page): void {
    this.#page(page);
  }

  cut(): void {
    this.#meter.cut();
    this.#stream.close(NGHTTP2_INTERNAL_ERROR);
  }

  /** RFC 8441, 5: what 101 says in HTTP/1.1 is 200 here. */
  tunnel(head: ResponseHead, pod: net.Socket, first: Buffer): void {
    const fields = answerFields(head);
    const at = fields.indexOf('sec-websocket-accept');
    if (this.#gone || at < 0 || fields[at + 1] !== acceptFor(this.#webSocketKey)) {
      pod.destroy();
      this.#page(pages.badGateway);
      return;
    }
    fields.splice(at, 2);
    this.#exchange = undefined;
    this.#context.deadlines.delete(this);
    const stream = this.#stream;
    stream.respond([':status', '200', ...fields], asThePodSaid);
    // RFC 8441, 5.1: the death of the TCP connection is told by CANCEL.
    const cut = (): void => stream.close(NGHTTP2_CANCEL);
    this.#meter.tunnel(pod, first);
    new WebSocketTunnel({ client: stream, pod }, this.#context, cut).open(first);
  }

  /**
   * Asks the client to stop sending (RFC 9113, 8.1), but not at once: node:http2 would let the reset
   * overtake an answer that has no body.
   */
  #leaveUnread(): void {
    const { deadlines, limits } = this.#context;
    this.#left = true;
    this.#stream.removeAllListeners('data').pause();
    this.deadlineMs = deadlines.nowMs + limits.drainMs;
  }

  /** Browsers tell scripts nothing of a handshake that fails: it succeeds, and the reason follows. */
  #closedWebSocket(page: Page): void {
    this.#stream.respond([':status', '200'], asThePodSaid);
    this.content(closeFrame(closeCodeOf(page), page.message));
    this.end('');
  }

  #negotiated(head: ResponseHead): Negotiated {
    const { coders, limits } = this.#context;
    const { compression } = this.#policy ?? {};
    if (!this.#request || !compression || this.#paged) return { head, coding: undefined };
    const mayCode = coders.running < limits.codersMax;
    return negotiate(head, this.#request, { compression, mayCode });
  }

  get #gone(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  #listen(exchange: Exchange): void {
    const content = (bytes: Buffer): void => {
      this.#meter.received(bytes.length);
      exchange.sendContent(bytes);
    };
    readBody(this.#stream, content, (trailers) => {
      this.requestDone = true;
      exchange.endContent(trailers);
    });
  }

  /** Answers in place of a pod. A body that is still coming is not waited for. */
  #page(page: Page): void {
    if (this.#gone) return;
    this.#paged = true;
    this.#meter.paged(page);
    if (this.#request?.websocket && this.#request.origin !== '') {
      this.#closedWebSocket(page);
      return;
    }
    const { cors } = this.#policy ?? {};
    const granted = cors && this.#request ? originFields(cors, this.#request.origin) : '';
    const fields = `${granted}${page.fields ?? ''}`;
    const { head, body } = pageAnswer({ ...page, fields }, this.#request);
    this.answer(head);
    if (head.framing !== 'none') this.content(body);
    this.end('');
  }
}
