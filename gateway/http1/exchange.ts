import type net from 'node:net';
import type { Address, Route } from '#contracts/route.ts';
import type { Mortal } from '../deadlines.ts';
import type { Page } from '../pages/pages.ts';
import { pages } from '../pages/pages.ts';
import { splice } from '../tcp/splice.ts';
import type { Upstream, UpstreamUser } from '../upstream/pool.ts';
import { BodyMeter } from './body.ts';
import { malformed, needsMore } from './chunked.ts';
import type { Http1Context } from './context.ts';
import { mayRetry, returnedHead } from './forward.ts';
import { HeadBuffer } from './head-buffer.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';
import { parseResponseHead } from './response-head.ts';

const joinedBytesMax = 16_384; // a head and so much body leave in one write

/** The client's connection, as its exchange sees it. */
export interface ExchangeOwner extends Mortal {
  readonly requestBody: BodyMeter;
  /** The response is out; `keepAlive` is what its head promised. */
  exchangeDone(keepAlive: boolean): void;
  /** No byte of a response is out: this page goes in its place. */
  exchangeFailed(page: Page): void;
  /** The connection is a tunnel from now on; returns the bytes that wait in it. */
  becomeTunnel(): Buffer;
}

/**
 * One request with its response, between a client's connection and a pod's. The object is used
 * again for the next request of the connection.
 */
export class Exchange implements UpstreamUser {
  readonly #client: net.Socket;
  readonly #context: Http1Context;
  readonly #owner: ExchangeOwner;
  readonly #answered: HeadBuffer;
  readonly #responseBody: BodyMeter;
  #request: RequestHead | undefined;
  #route: Route | undefined;
  #address: Address | undefined;
  #sentHead = '';
  #upstream: Upstream | undefined;
  #response: ResponseHead | undefined;
  /** The request was complete before its answer: only then both connections may go on. */
  #inOrder = false;
  #keepAlive = false;
  #informational = 0;

  constructor(client: net.Socket, context: Http1Context, owner: ExchangeOwner) {
    this.#client = client;
    this.#context = context;
    this.#owner = owner;
    this.#answered = new HeadBuffer(context.limits);
    this.#responseBody = new BodyMeter(context.limits);
  }

  /** The head of the response is out, so a page cannot be. */
  get responding(): boolean {
    return this.#response !== undefined;
  }

  begin(request: RequestHead, to: { route: Route; upstream: Address }, head: string): void {
    this.#request = request;
    this.#route = to.route;
    this.#address = to.upstream;
    this.#sentHead = head;
    this.#informational = 0;
    this.#send(false);
    this.#waitForResponse();
  }

  /** Bytes of the request's body, already judged. */
  sendBody(bytes: Buffer): void {
    if (this.#upstream && !this.#upstream.socket.write(bytes)) this.#client.pause();
    if (!this.#response) this.#waitForResponse();
  }

  /** The client takes bytes again. */
  clientDrained(): void {
    this.#upstream?.socket.resume();
    if (this.#response) this.#waitForMore(true);
  }

  /** Ends the pod's side; the owner hears nothing more of it. */
  abandon(): void {
    this.#upstream?.destroy();
    this.#upstream = undefined;
    this.#answered.rest();
  }

  upstreamData(bytes: Buffer): void {
    if (this.#response) {
      this.#passResponseBody(bytes, '');
      return;
    }
    this.#answered.push(bytes);
    while (!this.#response && this.#upstream) {
      const text = this.#answered.head();
      if (text === undefined) return;
      if (text === null) this.#failed();
      else this.#responseHead(text);
    }
  }

  upstreamDrain(): void {
    this.#client.resume();
  }

  upstreamGone(error: Error | undefined): void {
    const upstream = this.#upstream;
    this.#upstream = undefined;
    upstream?.socket.destroy();
    if (this.#response) {
      if (!error && this.#responseBody.endOfConnection()) this.#responseDone(false);
      else this.#client.destroy();
      return;
    }
    // It may have closed while idle, before our request reached it.
    const unanswered = this.#answered.length === 0;
    if (upstream?.reused && unanswered && this.#request && mayRetry(this.#request)) {
      this.#send(true);
    } else this.#failed();
  }

  #send(fresh: boolean): void {
    if (!this.#route || !this.#address) return;
    this.#upstream = this.#context.upstreams.take(this.#route, this.#address, this, fresh);
    this.#upstream.socket.write(this.#sentHead, 'latin1');
  }

  #waitForResponse(): void {
    const { deadlines, limits } = this.#context;
    const waitMs = this.#owner.requestBody.done ? limits.responseHeadMs : limits.bodyIdleMs;
    this.#owner.deadlineMs = deadlines.nowMs + waitMs;
  }

  #responseHead(text: string): void {
    const request = this.#request;
    const head = request && parseResponseHead(text, request.method);
    if (!head || (request.minor === 0 && head.framing === 'chunked')) {
      this.#failed();
    } else if (head.status === 101) {
      this.#tunnel(head, request);
    } else if (head.status < 200) {
      this.#informational += 1;
      if (this.#informational > this.#context.limits.informationalMax) this.#failed();
      else if (request.minor === 1) this.#client.write(`${head.text}\r\n`, 'latin1');
    } else {
      this.#response = head;
      this.#responseBody.begin(head.framing, head.length);
      this.#inOrder = this.#owner.requestBody.done;
      this.#keepAlive =
        this.#inOrder && request.keepAlive && head.framing !== 'close' && !this.#context.draining();
      const returned = returnedHead(head, request, this.#keepAlive);
      this.#passResponseBody(this.#answered.rest(), returned);
    }
  }

  /** Head and the body bytes that came with it leave in one write where they are small. */
  #passResponseBody(bytes: Buffer, head: string): void {
    const end = this.#responseBody.take(bytes, 0);
    if (end === malformed) {
      // Cut, so that the client sees that something is missing.
      this.abandon();
      this.#client.destroy();
      return;
    }
    const to = end === needsMore ? bytes.length : end;
    let flowing = true;
    if (head !== '' && to <= joinedBytesMax) {
      flowing = this.#client.write(head + bytes.toString('latin1', 0, to), 'latin1');
    } else {
      if (head !== '') this.#client.write(head, 'latin1');
      if (to > 0) flowing = this.#client.write(bytes.subarray(0, to));
    }
    this.#waitForMore(flowing);
    if (this.#responseBody.done) this.#responseDone(to === bytes.length);
    else if (!flowing) this.#upstream?.socket.pause();
  }

  /** For the pod while the client reads, else for the client. */
  #waitForMore(flowing: boolean): void {
    const { deadlines, limits } = this.#context;
    const waitMs = flowing ? limits.responseIdleMs : limits.bodyIdleMs;
    this.#owner.deadlineMs = deadlines.nowMs + waitMs;
  }

  #responseDone(clean: boolean): void {
    const head = this.#response;
    const upstream = this.#upstream;
    const keepAlive = this.#keepAlive && !this.#context.draining();
    this.#upstream = undefined;
    this.#response = undefined;
    const request = this.#request;
    const reusable = clean && head?.keepAlive === true && this.#inOrder;
    if (upstream && reusable && request?.minor === 1 && !request.bindsConnection) {
      this.#context.upstreams.release(upstream);
    } else upstream?.destroy();
    this.#owner.exchangeDone(keepAlive);
  }

  #tunnel(head: ResponseHead, request: RequestHead): void {
    const upstream = this.#upstream;
    if (!upstream || !request.websocket || !head.websocket) {
      this.#failed();
      return;
    }
    this.#upstream = undefined;
    const waiting = this.#owner.becomeTunnel();
    this.#client.write(returnedHead(head, request, true), 'latin1');
    this.#client.write(this.#answered.rest());
    const pod = upstream.release();
    pod.write(waiting);
    splice(this.#client, pod);
  }

  #failed(): void {
    this.abandon();
    this.#owner.exchangeFailed(pages.badGateway);
  }
}
