import type { Lend } from '../client-socket.ts';
import type { Page } from '../pages/pages.ts';
import { noAnswerPage, pages } from '../pages/pages.ts';
import { UploadPace } from '../upload-pace.ts';
import type { ContentSink, Exchange, ExchangeClient, Outgoing } from '../upstream/exchange.ts';
import type { Upstream, UpstreamUser, Wanted } from '../upstream/pool.ts';
import { BodyMeter } from './body.ts';
import { malformed, needsMore } from './chunked.ts';
import type { Http1Context } from './context.ts';
import { chunk, lastChunk } from './chunks.ts';
import { forwardedHead, mayRetry } from './forward.ts';
import { HeadBuffer } from './head-buffer.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';
import { awaitAnswer, awaitMore } from '../upstream/patience.ts';

/** One request with its response, with a pod that speaks HTTP/1.1. */
export class Http1Exchange implements Exchange, UpstreamUser {
  readonly #context: Http1Context;
  readonly #client: ExchangeClient;
  readonly #lend: Lend;
  readonly #answered: HeadBuffer;
  readonly #responseBody: BodyMeter;
  readonly #pace: UploadPace;
  #outgoing: Outgoing | undefined;
  #sentHead = '';
  #upstream: Upstream | undefined;
  #response: ResponseHead | undefined;
  #sink: ContentSink | undefined;
  /** The request was complete before its answer: only then both connections may go on. */
  #inOrder = false;
  #informational = 0;

  constructor(context: Http1Context, client: ExchangeClient, lend: Lend) {
    this.#context = context;
    this.#client = client;
    this.#lend = lend;
    this.#answered = new HeadBuffer(context.limits);
    this.#responseBody = new BodyMeter(context.limits);
    this.#pace = new UploadPace(context.limits);
  }

  begin(outgoing: Outgoing): void {
    this.#outgoing = outgoing;
    this.#sentHead = forwardedHead(outgoing);
    this.#informational = 0;
    this.#pace.begin(outgoing.request.grpc, this.#context.deadlines.nowMs);
    this.#send(outgoing, outgoing.request.websocket ? 'tunnel' : 'pooled');
    awaitAnswer(this.#client, this.#context, this.#pace);
  }

  /** Bytes of the request's body as the client framed them, already judged; good for the call only. */
  sendFramed(bytes: Buffer): void {
    const { nowMs } = this.#context.deadlines;
    this.#pace.took(bytes.length, nowMs);
    const socket = this.#upstream?.socket;
    if (socket && !socket.write(this.#lend(bytes, socket))) {
      this.#client.pauseRequest();
      this.#pace.restart(nowMs);
    }
    if (!this.#response) awaitAnswer(this.#client, this.#context, this.#pace);
  }

  sendContent(bytes: Buffer): void {
    const framing = this.#outgoing?.request.framing;
    this.sendFramed(framing === 'chunked' ? chunk(bytes) : bytes);
  }

  endContent(trailers: string): void {
    const framing = this.#outgoing?.request.framing;
    if (framing === 'chunked') this.#upstream?.socket.write(lastChunk(trailers), 'latin1');
    if (!this.#response) awaitAnswer(this.#client, this.#context, this.#pace);
  }

  clientDrained(): void {
    this.#upstream?.socket.resume();
    if (this.#response) awaitMore(this.#client, this.#context, true);
  }

  abandon(): void {
    this.#forget();
    this.#upstream?.destroy();
    this.#upstream = undefined;
    this.#response = undefined;
    this.#sink = undefined;
    this.#answered.rest();
  }

  upstreamData(bytes: Buffer, length: number): void {
    if (this.#response) {
      this.#passBody(bytes.subarray(0, length));
      return;
    }
    const answered = this.#answered;
    answered.push(bytes, length);
    try {
      this.#takeHeads();
    } finally {
      // Also after a fault: these bytes are another pod's next.
      answered.keep();
    }
  }

  #takeHeads(): void {
    while (!this.#response && this.#upstream) {
      const text = this.#answered.head();
      if (text === undefined) return;
      if (text === null) this.#failed(pages.badGateway);
      else this.#responseHead(text);
    }
  }

  upstreamDrain(): void {
    this.#client.resumeRequest();
    this.#pace.restart(this.#context.deadlines.nowMs);
    if (!this.#response) awaitAnswer(this.#client, this.#context, this.#pace);
  }

  upstreamGone(error: Error | undefined): void {
    const upstream = this.#upstream;
    this.#upstream = undefined;
    upstream?.socket.destroy();
    if (this.#response) {
      if (!error && this.#responseBody.endOfConnection()) this.#responseDone(false);
      else this.#cut();
      return;
    }
    // It may have closed while idle, before our request reached it.
    const unanswered = this.#answered.length === 0 && this.#informational === 0;
    const outgoing = this.#outgoing;
    if (upstream?.reused && unanswered && outgoing && mayRetry(outgoing.request)) {
      this.#send(outgoing, 'fresh');
    } else this.#failed(noAnswerPage(upstream?.unreached));
  }

  #send({ route, upstream, meter }: Outgoing, wanted: Wanted): void {
    this.#upstream = this.#context.upstreams.take(route, upstream, this, wanted);
    meter.goes(this.#upstream.reused);
    this.#upstream.send(this.#sentHead);
  }

  #responseHead(text: string): void {
    const request = this.#outgoing?.request;
    const end = this.#answered.headEnd;
    const head = request && this.#upstream?.lastAnswer.read(text, end, request.method);
    if (!head || (request.minor === 0 && head.framing === 'chunked')) {
      this.#failed(pages.badGateway);
    } else if (head.status === 101) {
      this.#tunnel(head, request);
    } else if (head.status < 200) {
      this.#informational += 1;
      if (this.#informational > this.#context.limits.informationalMax) {
        this.#failed(pages.badGateway);
      } else this.#client.informational(head);
    } else this.#answer(head);
  }

  #answer(head: ResponseHead): void {
    if (head.framing === 'length' && this.#answered.length === head.length) {
      const whole = this.#answered.restText();
      if (whole !== undefined) {
        this.#answerWhole(head, whole);
        return;
      }
    }
    const first = this.#answered.take();
    const body = this.#responseBody;
    body.begin(head.framing, head.length);
    // Nonsense that comes along with the head can still be told in words.
    if (head.framing === 'chunked' && body.take(first, 0) === malformed) {
      this.#failed(pages.badGateway);
      return;
    }
    this.#response = head;
    this.#inOrder = this.#client.requestDone;
    this.#sink = this.#client.answer(head, 'framed');
    body.begin(head.framing, head.length, this.#sink);
    this.#passBody(first);
  }

  /** The usual small answer: it came in one piece, so it leaves in one. */
  #answerWhole(head: ResponseHead, body: string): void {
    this.#responseBody.begin('none', 0);
    this.#response = head;
    this.#inOrder = this.#client.requestDone;
    this.#sink = this.#client.answer(head, 'framed');
    if (this.#sink) this.#sink.content(body);
    else this.#client.framed(body);
    this.#responseDone(true);
  }

  #passBody(bytes: Buffer): void {
    const end = this.#responseBody.take(bytes, 0);
    if (end === malformed) {
      this.#cut();
      return;
    }
    const to = end === needsMore ? bytes.length : end;
    if (!this.#sink) this.#client.framed(to === bytes.length ? bytes : bytes.subarray(0, to));
    if (this.#responseBody.done) {
      this.#responseDone(to === bytes.length);
      return;
    }
    this.#sink?.flush();
    const { blocked } = this.#client;
    awaitMore(this.#client, this.#context, !blocked);
    if (blocked) this.#upstream?.socket.pause();
  }

  #responseDone(clean: boolean): void {
    const head = this.#response;
    const upstream = this.#upstream;
    const sink = this.#sink;
    this.#upstream = undefined;
    this.#response = undefined;
    this.#sink = undefined;
    const request = this.#outgoing?.request;
    this.#forget();
    const reusable = clean && head?.keepAlive === true && this.#inOrder;
    if (upstream && reusable && request?.minor === 1 && !request.bindsConnection) {
      this.#context.upstreams.release(upstream);
    } else upstream?.destroy();
    // The time for what is still on its way to the client.
    awaitMore(this.#client, this.#context, false);
    if (sink) sink.end(this.#responseBody.trailers);
    else this.#client.framedEnd();
  }

  #tunnel(head: ResponseHead, request: RequestHead): void {
    const upstream = this.#upstream;
    if (!upstream || !request.websocket || !head.websocket) {
      this.#failed(pages.badGateway);
      return;
    }
    this.#upstream = undefined;
    this.#client.tunnel(head, upstream.release(), this.#answered.rest());
  }

  /** The request, which a connection that is idle for long shall not keep. */
  #forget(): void {
    this.#outgoing = undefined;
    this.#sentHead = '';
  }

  #cut(): void {
    this.abandon();
    this.#client.cut();
  }

  #failed(page: Page): void {
    this.abandon();
    this.#client.failed(page);
  }
}
