import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { constants, performServerHandshake } from 'node:http2';
import type net from 'node:net';
import type { Mortal } from '../deadlines.ts';
import type { Http1Context, Peer } from '../http1/context.ts';
import { Introductions } from '../http1/forwarding.ts';
import { LastFields } from '../http1/request-head.ts';
import { Http2Exchange } from './exchange.ts';
import type { Http2Terms } from './terms.ts';

const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_FLAG_END_STREAM } = constants;

/** Serves HTTP/2 (RFC 9113) on a client's connection until it ends. */
export class Http2Connection implements Mortal {
  deadlineMs: number;
  readonly #session: ServerHttp2Session;
  readonly #context: Http1Context;
  #streams = 0;
  #controlFrames: number;
  #controlFramesAtMs: number;

  constructor(socket: net.Socket, context: Http1Context, peer: Peer) {
    const { deadlines, limits } = context;
    this.#context = context;
    this.deadlineMs = deadlines.nowMs + limits.headMs;
    this.#controlFrames = limits.h2ControlFramesBurst;
    this.#controlFramesAtMs = deadlines.nowMs;
    // A server's TLSSocket that we made ourselves says for ever that it is connecting, and then the
    // session waits for ever.
    Reflect.set(socket, 'secureConnecting', false);
    const session = performServerHandshake(socket, {
      maxSessionMemory: limits.h2SessionMegabytesMax,
      maxHeaderListPairs: limits.headersMax,
      // Pods say things twice; passing that on harms nobody, and throwing at it would.
      strictSingleValueFields: false,
      streamResetBurst: limits.h2ResetsBurst,
      streamResetRate: limits.h2ResetsPerSecond,
      settings: {
        enableConnectProtocol: true,
        maxConcurrentStreams: limits.h2StreamsMax,
        maxHeaderListSize: limits.headBytesMax,
        initialWindowSize: limits.h2StreamWindowBytes,
      },
    });
    this.#session = session;
    session.setLocalWindowSize(limits.h2SessionWindowBytes);
    session.on('error', () => undefined);
    const terms = {
      context,
      peer,
      introductions: new Introductions(peer, context.forwardedHeader),
      last: new LastFields(),
      closed: () => {
        this.#streams -= 1;
        if (this.#streams === 0) this.deadlineMs = deadlines.nowMs + limits.keepAliveMs;
      },
    };
    session.on('stream', (stream, _headers, flags, raw) => {
      const ended = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
      this.#stream(stream, { ...terms, ended }, raw ?? []);
    });
    session.on('ping', () => this.#controlFrame());
    session.on('remoteSettings', () => this.#controlFrame());
    session.on('close', () => deadlines.delete(this));
    deadlines.add(this);
  }

  expire(): void {
    // A client that does not answer GOAWAY with an end gets one.
    if (this.#session.closed) this.#session.destroy();
    else this.#session.close();
    this.deadlineMs = this.#context.deadlines.nowMs + this.#context.limits.drainMs;
  }

  /** Tells the client to go elsewhere; what is under way is finished. */
  drain(): void {
    if (!this.#session.destroyed) this.#session.close();
  }

  #stream(stream: ServerHttp2Stream, terms: Http2Terms, raw: readonly string[]): void {
    this.#streams += 1;
    this.deadlineMs = Infinity;
    new Http2Exchange(stream, terms).begin(raw);
  }

  /** PING and SETTINGS want an answer each: more of them than any client needs are an attack. */
  #controlFrame(): void {
    const { deadlines, limits } = this.#context;
    const seconds = (deadlines.nowMs - this.#controlFramesAtMs) / 1_000;
    this.#controlFramesAtMs = deadlines.nowMs;
    this.#controlFrames = Math.min(
      limits.h2ControlFramesBurst,
      this.#controlFrames + seconds * limits.h2ControlFramesPerSecond - 1,
    );
    if (this.#controlFrames >= 0) return;
    this.#context.meters.limitHit('h2ControlFramesPerSecond');
    this.#session.destroy(undefined, NGHTTP2_ENHANCE_YOUR_CALM);
  }
}
