import type { ClientHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import type { Lend } from '../client-socket.ts';
import type { Http1Context } from '../http1/context.ts';
import { forwardedFields, mayRetry } from '../http1/forward.ts';
import { parseResponseHead } from '../http1/response-head.ts';
import { fieldsOf, linesOf, trailersObject } from '../http2/fields.ts';
import { noAnswerPage, pages } from '../pages/pages.ts';
import { UploadPace } from '../upload-pace.ts';
import type { ContentSink, Exchange, ExchangeClient, Outgoing } from './exchange.ts';
import type { H2cSession } from './h2c-sessions.ts';
import { awaitAnswer, awaitMore } from './patience.ts';

/** One request with its response, with a pod that speaks HTTP/2 without TLS: gRPC, mostly. */
export class H2cExchange implements Exchange {
  readonly #context: Http1Context;
  readonly #client: ExchangeClient;
  readonly #lend: Lend;
  readonly #pace: UploadPace;
  #outgoing: Outgoing | undefined;
  #session: H2cSession | undefined;
  #stream: ClientHttp2Stream | undefined;
  #sink: ContentSink | undefined;
  #requestTrailers = '';
  #responseTrailers = '';
  #answered = false;
  #tries = 0;
  #reused = false;
  /** 1xx answers so far. */
  #interim = 0;

  constructor(context: Http1Context, client: ExchangeClient, lend: Lend) {
    this.#context = context;
    this.#client = client;
    this.#lend = lend;
    this.#pace = new UploadPace(context.limits);
  }

  begin(outgoing: Outgoing): void {
    this.#outgoing = outgoing;
    if (outgoing.request.websocket) {
      this.#client.failed(pages.refused(501, 'a pod that speaks h2c gets no WebSocket'));
      return;
    }
    this.#pace.begin(outgoing.request.grpc, this.#context.deadlines.nowMs);
    this.#tries = 0;
    this.#interim = 0;
    this.#send(outgoing);
    awaitAnswer(this.#client, this.#context, this.#pace);
  }

  sendContent(bytes: Buffer): void {
    const { nowMs } = this.#context.deadlines;
    this.#pace.took(bytes.length, nowMs);
    if (this.#stream?.write(this.#lend(bytes)) === false) {
      this.#client.pauseRequest();
      this.#pace.restart(nowMs);
    }
    if (!this.#answered) awaitAnswer(this.#client, this.#context, this.#pace);
  }

  endContent(trailers: string): void {
    this.#requestTrailers = trailers;
    this.#stream?.end();
    if (!this.#answered) awaitAnswer(this.#client, this.#context, this.#pace);
  }

  clientDrained(): void {
    this.#stream?.resume();
    if (this.#answered) awaitMore(this.#client, this.#context, true);
  }

  abandon(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#sink = undefined;
    stream?.close(constants.NGHTTP2_CANCEL);
  }

  #send(outgoing: Outgoing): void {
    const { request, route, upstream } = outgoing;
    this.#sink = undefined;
    this.#answered = false;
    this.#tries += 1;
    this.#requestTrailers = '';
    this.#responseTrailers = '';
    const session = this.#context.h2cSessions.take(route, upstream);
    this.#session = session;
    const bodiless = request.framing === 'none';
    // A connection that stood before may have ended under the request; a new one did not.
    this.#reused = session.connected;
    outgoing.meter.goes(this.#reused);
    const headers = requestHeaders(outgoing);
    const stream = session.request(headers, bodiless);
    this.#stream = stream;
    stream.on('error', () => undefined);
    stream.on('headers', (_headers, _flags, raw) => this.#informational(stream, raw));
    stream.on('response', (_headers, flags, raw) => this.#response(stream, flags, raw));
    stream.on('data', (bytes: Buffer) => this.#data(stream, bytes));
    stream.on('trailers', (_headers, _flags, raw) => {
      if (this.#stream === stream) this.#responseTrailers = linesOf(raw) ?? '';
    });
    stream.on('drain', () => {
      if (this.#stream === stream) this.#drained();
    });
    stream.on('wantTrailers', () => stream.sendTrailers(trailersObject(this.#requestTrailers)));
    stream.on('end', () => this.#ended(stream));
    stream.on('close', () => this.#closed(stream));
  }

  #informational(stream: ClientHttp2Stream, raw: readonly string[]): void {
    if (this.#stream !== stream) return;
    this.#interim += 1;
    const head = responseHead(raw, this.#outgoing?.request.method ?? '', false);
    if (this.#interim > this.#context.limits.informationalMax) {
      this.abandon();
      this.#client.failed(pages.badGateway);
    } else if (head && head.status !== 101) this.#client.informational(head);
  }

  #response(stream: ClientHttp2Stream, flags: number, raw: readonly string[]): void {
    if (this.#stream !== stream) return;
    const ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    const head = responseHead(raw, this.#outgoing?.request.method ?? '', ended);
    if (!head) {
      this.abandon();
      this.#client.failed(pages.badGateway);
      return;
    }
    this.#answered = true;
    this.#sink = this.#client.answer(head, 'content');
    this.#sink?.flush();
    awaitMore(this.#client, this.#context, true);
  }

  #data(stream: ClientHttp2Stream, bytes: Buffer): void {
    if (this.#stream !== stream) return;
    this.#sink?.content(bytes);
    this.#sink?.flush();
    const { blocked } = this.#client;
    awaitMore(this.#client, this.#context, !blocked);
    if (blocked) stream.pause();
  }

  #ended(stream: ClientHttp2Stream): void {
    const sink = this.#sink;
    if (this.#stream !== stream || !this.#answered) return;
    // A reset ends it for node:http2 too; 'close' follows and tells the client.
    if (stream.aborted || stream.rstCode !== constants.NGHTTP2_NO_ERROR) return;
    this.#stream = undefined;
    this.#sink = undefined;
    // A pod may end its answer before it has read the request (RFC 9113, 8.1).
    stream.close(constants.NGHTTP2_NO_ERROR);
    awaitMore(this.#client, this.#context, false);
    sink?.end(this.#responseTrailers);
  }

  /** It closed without an end: nothing that was read so far may look complete. */
  #closed(stream: ClientHttp2Stream): void {
    const outgoing = this.#outgoing;
    if (this.#stream !== stream || !outgoing) return;
    this.#stream = undefined;
    if (this.#answered) {
      this.#sink = undefined;
      this.#client.cut();
    } else if (this.#mayRetry(outgoing, stream)) this.#send(outgoing);
    else this.#client.failed(noAnswerPage(this.#session?.unreached));
  }

  #drained(): void {
    this.#client.resumeRequest();
    this.#pace.restart(this.#context.deadlines.nowMs);
    if (!this.#answered) awaitAnswer(this.#client, this.#context, this.#pace);
  }

  /** What the pod did not begin (RFC 9113, 8.7) goes again; what it may have begun, if that is harmless. */
  #mayRetry({ request }: Outgoing, stream: ClientHttp2Stream): boolean {
    // An interim answer tells that the pod has got the request.
    if (request.framing !== 'none' || this.#interim > 0) return false;
    const refused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
    if (refused) return this.#tries < this.#context.limits.h2cTriesMax;
    return this.#tries === 1 && this.#reused && mayRetry(request);
  }
}

function requestHeaders(outgoing: Outgoing): string[] {
  const { method, target, authority, framing, length } = outgoing.request;
  const contentLength = framing === 'length' ? ['content-length', String(length)] : [];
  const pseudo = [':method', method, ':scheme', 'http', ':path', target, ':authority', authority];
  // gRPC servers insist on TE, and trailers are passed on.
  return pseudo.concat(fieldsOf(forwardedFields(outgoing)), contentLength, ['te', 'trailers']);
}

/** The pod's answer through the same gate as one in HTTP/1.1; undefined when it does not pass. */
function responseHead(raw: readonly string[], method: string, ended: boolean) {
  const [pseudo, status = '', ...pairs] = raw;
  const lines = pseudo === ':status' ? linesOf(pairs) : undefined;
  if (lines === undefined) return undefined;
  const head = parseResponseHead(`HTTP/1.1 ${status} \r\n${lines}`, method);
  if (!head) return undefined;
  return ended ? { ...head, framing: 'none' as const, length: 0 } : head;
}
