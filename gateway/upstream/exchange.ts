import type net from 'node:net';
import type { Address, Route } from '#contracts/route.ts';
import type { Mortal } from '../deadlines.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { RequestMeter } from '../observe/request-meter.ts';
import type { Page } from '../pages/pages.ts';

/** Where the content of an answer goes when it is not passed on as the pod framed it. */
export interface ContentSink {
  /** A short piece may come as text, a character for a byte. Bytes are good until `flush` or `end`. */
  content(bytes: Buffer | string): void;
  /** No more has come for now: what is held back leaves. */
  flush(): void;
  /** `trailers`: field lines, each with CRLF. */
  end(trailers: string): void;
}

/** The client's side of an exchange, whatever protocol it speaks. */
export interface ExchangeClient extends Mortal {
  /** All of the request was passed on, so that both connections may go on after its answer. */
  readonly requestDone: boolean;
  /** It takes no more bytes for now; `clientDrained` tells the exchange when it does again. */
  readonly blocked: boolean;
  pauseRequest(): void;
  resumeRequest(): void;
  informational(head: ResponseHead): void;
  /**
   * The head of the answer. Returns where its content goes, or undefined when it takes the body
   * `framed` as HTTP/1.1 has it; a pod that does not speak that has only content to give.
   */
  answer(head: ResponseHead, body: 'framed' | 'content'): ContentSink | undefined;
  /** A short piece may come as text, a character for a byte. Bytes are good for this call only. */
  framed(bytes: Buffer | string): void;
  framedEnd(): void;
  /** Nothing of an answer is out: this page goes in its place. */
  failed(page: Page): void;
  /** A part of the answer is out and the rest will not come: it must not look complete. */
  cut(): void;
  /** The pod agreed to switch protocols; from now on bytes pass both ways. */
  tunnel(head: ResponseHead, pod: net.Socket, first: Buffer): void;
}

/** A request as it goes to its pod. */
export interface Outgoing {
  readonly request: RequestHead;
  /** Field lines that say where it came from. */
  readonly introduction: string;
  readonly id: string;
  readonly meter: RequestMeter;
  readonly route: Route;
  readonly upstream: Address;
}

/** The pod's side of an exchange. The object is used again for the client's next request. */
export interface Exchange {
  begin(outgoing: Outgoing): void;
  /** Content of the request, without framing; good for the call only. */
  sendContent(bytes: Buffer): void;
  endContent(trailers: string): void;
  /** The client takes bytes again. */
  clientDrained(): void;
  /** Ends the pod's side; the client hears nothing more of it. */
  abandon(): void;
}
