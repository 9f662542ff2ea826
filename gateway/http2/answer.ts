import type { Policy } from '#contracts/policy.ts';
import type { CoderOwner } from '../compression/coder.ts';
import { Coder } from '../compression/coder.ts';
import type { Negotiated } from '../compression/negotiate.ts';
import { negotiate } from '../compression/negotiate.ts';
import { originFields } from '../cors.ts';
import { dressed } from '../dressing.ts';
import type { Http1Context } from '../http1/context.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { RequestMeter } from '../observe/request-meter.ts';
import type { Page } from '../pages/pages.ts';
import type { ContentSink } from '../upstream/exchange.ts';
import { kept } from '../upstream/memory.ts';
import { closeCodeOf, closeFrame } from '../websocket.ts';
import type { HeadBlocks } from './field-block.ts';
import { blockOf } from './field-block.ts';
import { pageAnswer } from './page.ts';
import type { OutboundOwner, SendWindow } from './send-window.ts';
import { Outbound } from './send-window.ts';
import { encodeField } from './hpack/encoder.ts';

/** What all answers of a connection share. */
export interface AnswerTerms {
  readonly context: Http1Context;
  readonly sendWindow: SendWindow;
  readonly heads: HeadBlocks;
}

/** Who hears how an answer goes. */
export type AnswerOwner = CoderOwner & OutboundOwner;

/** The answer of one stream: its head, its content as far as the windows let it pass, its trailers. */
export class Http2Answer implements ContentSink {
  readonly outbound: Outbound;
  /** Its head, or a page in its place, is out. */
  begun = false;
  /** A coder worked on it, which may still have something to say. */
  coded = false;
  readonly #terms: AnswerTerms;
  readonly #meter: RequestMeter;
  readonly #owner: AnswerOwner;
  #stream = 0;
  /** The head is all of it. */
  #bodiless = false;
  #coder: Coder | undefined;
  /** The newest content, held so that the last of it can leave together with the end. */
  #held: Buffer | string = '';

  constructor(terms: AnswerTerms, meter: RequestMeter, owner: AnswerOwner) {
    this.#terms = terms;
    this.#meter = meter;
    this.#owner = owner;
    this.outbound = new Outbound(terms.sendWindow, owner);
  }

  /** For the next stream; `window`: what the client takes of it. */
  reset(stream: number, window: number): void {
    this.#stream = stream;
    this.begun = false;
    this.coded = false;
    this.#bodiless = false;
    this.#coder = undefined;
    this.#held = '';
    this.outbound.begin(stream, window);
  }

  get blocked(): boolean {
    return this.outbound.blocked || this.#coder?.blocked === true;
  }

  informational({ status, text }: ResponseHead): void {
    const fields = blockOf(text, text.indexOf('\r\n') + 2);
    this.#head(encodeField(':status', String(status)) + fields, false);
  }

  /** Returns where the content goes. */
  begin(
    asGiven: ResponseHead,
    request: RequestHead | undefined,
    policy: Policy | undefined,
  ): ContentSink {
    this.#meter.answered(asGiven.status);
    const { hsts } = this.#terms.context;
    const head = dressed(asGiven, policy?.cors, request?.origin ?? '', hsts);
    if (!request || !policy?.compression) {
      this.#begin(head);
      return this;
    }
    const { head: sent, coding } = this.#negotiated(head, request, policy);
    this.#begin(sent);
    if (!coding) return this;
    const { coders } = this.#terms.context;
    this.coded = true;
    this.#coder = new Coder(coding, this, { owner: this.#owner, coders });
    return this.#coder;
  }

  /** An answer of ours in place of a pod's. */
  page(page: Page, request: RequestHead | undefined, policy: Policy | undefined): void {
    this.#meter.paged(page);
    if (request?.websocket && request.origin !== '') {
      this.#closedWebSocket(page);
      return;
    }
    const { cors } = policy ?? {};
    const granted = cors && request ? originFields(cors, request.origin) : '';
    const fields = `${granted}${page.fields ?? ''}`;
    const { head, body } = pageAnswer({ ...page, fields }, request);
    this.#begin(dressed(head, undefined, '', this.#terms.context.hsts));
    if (head.framing !== 'none') this.content(body);
    this.end('');
  }

  /** The pod agreed to speak WebSocket: from now on the stream is a tunnel. */
  webSocket(head: ResponseHead): void {
    this.begun = true;
    this.#terms.sendWindow.writer.headers(this.#stream, this.#terms.heads.webSocket(head), false);
  }

  content(bytes: Buffer | string): void {
    this.flush();
    this.#held = typeof bytes === 'string' ? bytes : kept(bytes);
  }

  flush(): void {
    const held = this.#held;
    if (held.length === 0 || this.#bodiless) return;
    this.#held = '';
    this.#meter.sent(held.length);
    this.outbound.send(held);
  }

  /** `trailers`: field lines, each with CRLF. */
  end(trailers: string): void {
    const last = this.#held;
    this.#held = '';
    if (this.#bodiless) {
      this.#meter.end();
      this.outbound.endedByHead();
      return;
    }
    if (last.length > 0) this.#meter.sent(last.length);
    this.#meter.end();
    this.outbound.end(last, trailers === '' ? '' : blockOf(trailers));
  }

  /** Nobody wants the rest. */
  abandon(): void {
    this.#coder?.abandon();
    this.#held = '';
    this.outbound.abandon();
    this.#meter.left();
  }

  #begin(head: ResponseHead): void {
    this.begun = true;
    this.#meter.sent(head.text.length);
    this.#bodiless = head.framing === 'none';
    const { heads, sendWindow } = this.#terms;
    sendWindow.writer.headers(this.#stream, heads.answer(head), this.#bodiless);
  }

  #head(block: string, ended: boolean): void {
    const { heads, sendWindow } = this.#terms;
    sendWindow.writer.headers(this.#stream, heads.first(block), ended);
  }

  /** Browsers tell scripts nothing of a handshake that fails: it succeeds, and the reason follows. */
  #closedWebSocket(page: Page): void {
    this.begun = true;
    this.#head(encodeField(':status', '200'), false);
    this.content(closeFrame(closeCodeOf(page), page.message));
    this.end('');
  }

  #negotiated(head: ResponseHead, request: RequestHead, policy: Policy): Negotiated {
    const { coders, limits } = this.#terms.context;
    const { compression } = policy;
    if (!compression) return { head, coding: undefined };
    return negotiate(head, request, { compression, mayCode: coders.running < limits.codersMax });
  }
}
