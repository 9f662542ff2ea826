import type net from 'node:net';
import type { Route } from '#contracts/route.ts';
import type { Page } from '../pages/pages.ts';
import { pages } from '../pages/pages.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { Ended } from './access-log.ts';
import type { Meters } from './meters.ts';
import type { NetworkMeter } from './network-meter.ts';

/**
 * Counts the requests of a client's connection in HTTP/1.1, one after the other, or the one of an
 * HTTP/2 stream. Bytes are those of HTTP/1.1 as it is written, heads included, in both protocols.
 */
export class RequestMeter {
  readonly #meters: Meters;
  readonly #protocol: 'http1' | 'http2';
  readonly #client: string;
  #underWay = false;
  #route: Route | undefined;
  #request: RequestHead | undefined;
  #id = '';
  /** `Ended`, or the code of a page. */
  #ended = complete;
  #tries = 0;
  #reused = false;
  #firstByteMs: number | undefined;
  /** All of the request under way; `#bytesIn` and `#bytesOut` only what no network has got yet. */
  #requestIn = 0;
  #requestOut = 0;
  #network: NetworkMeter | undefined;
  /** Of the request before: the next one is mostly for the same. */
  #lastRoute: Route | undefined;
  #lastNetwork: NetworkMeter | undefined;
  #startedMs = 0;
  /** Of the answer; 0 while there is none. */
  #status = 0;
  /** Not yet known whose. */
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(meters: Meters, protocol: 'http1' | 'http2', client: string) {
    this.#meters = meters;
    this.#protocol = protocol;
    this.#client = client;
  }

  received(bytes: number): void {
    this.#requestIn += bytes;
    if (this.#network) this.#network.received(bytes);
    else this.#bytesIn += bytes;
  }

  sent(bytes: number): void {
    this.#requestOut += bytes;
    if (this.#network) this.#network.sent(bytes);
    else this.#bytesOut += bytes;
  }

  /** The whole head is there. `route`: of the pod that it is for, if there is one. */
  begin(route: Route | undefined, request?: RequestHead, id = ''): void {
    this.#underWay = true;
    this.#route = route;
    this.#request = request;
    this.#id = id;
    this.#status = 0;
    this.#ended = complete;
    this.#tries = 0;
    this.#reused = false;
    this.#firstByteMs = undefined;
    this.#startedMs = this.#meters.nowMs();
    this.#meters.requestsInFlight += 1;
    if (!route) return;
    if (route !== this.#lastRoute) {
      this.#lastRoute = route;
      this.#lastNetwork = this.#meters.network(route);
    }
    this.#network = this.#lastNetwork;
    this.#network?.opened();
    this.#network?.received(this.#bytesIn);
    this.#bytesIn = 0;
  }

  /** The pod's answer begins. */
  answered(status: number): void {
    this.#status = status;
    const ms = this.#meters.nowMs() - this.#startedMs;
    this.#firstByteMs = ms;
    this.#meters.firstByteTook(ms);
    this.#network?.firstByteTook(ms);
  }

  /** An answer of the gateway's own, also to what is no request. */
  paged(page: Page): void {
    const { status, code, message } = page;
    if (!this.#underWay) this.begin(undefined);
    this.#status = status;
    this.#ended = code;
    if (code.startsWith('EDGE_UPSTREAM_')) this.#upstreamError(code, message);
    if (page === pages.timeout) {
      this.#meters.limitHit('responseHeadMs', message, this.#network?.host);
    }
  }

  /** The pod's answer ends in the middle. */
  cut(): void {
    if (!this.#underWay) return;
    this.#ended = 'pod cut it';
    this.#upstreamError('EDGE_UPSTREAM_FAILED', 'the pod ended in the middle of its answer');
  }

  /** It goes to the pod, the first time or again. */
  goes(reused: boolean): void {
    this.#tries += 1;
    this.#reused = reused;
  }

  /** Somebody was too slow, and the connection is closed for that. */
  expired(): void {
    this.#ended = 'timed out';
  }

  /** The client is gone, or we closed: what is under way has no other end. */
  left(): void {
    if (this.#ended === complete) this.#ended = 'client left' satisfies Ended;
    this.end();
  }

  /** The pod agreed to switch protocols: from now on it is a tunnel. `first` was read of it already. */
  tunnel(pod: net.Socket, first: Buffer): void {
    if (!this.#underWay) return;
    this.#underWay = false;
    const network = this.#network;
    this.#network = undefined;
    this.#meters.requestsInFlight -= 1;
    this.#meters.answered('websocket', switching);
    if (!network) return;
    network.answered(switching);
    network.closed();
    network.sent(first.length);
    this.#meters.tunnel(network, pod, {
      ...this.#entry(switching),
      protocol: 'websocket',
      bytesOut: this.#requestOut + first.length,
    });
    this.#requestIn = 0;
    this.#requestOut = 0;
  }

  /** The answer is out, or the client is gone; calling it again is fine. */
  end(): void {
    if (!this.#underWay) return;
    this.#underWay = false;
    this.#meters.requestsInFlight -= 1;
    this.#meters.answered(this.#protocol, this.#status);
    const ms = this.#meters.nowMs() - this.#startedMs;
    this.#meters.requestTook(ms);
    if (this.#meters.log.wants(this.#status, this.#ended)) {
      this.#meters.log.write({ ...this.#entry(this.#status), ms, ended: this.#ended });
    }
    this.#request = undefined;
    this.#requestIn = 0;
    this.#requestOut = 0;
    const network = this.#network;
    this.#network = undefined;
    if (network) {
      network.answered(this.#status);
      network.closed();
    } else this.#meters.stray(this.#bytesIn, this.#bytesOut);
    this.#bytesIn = 0;
    this.#bytesOut = 0;
  }

  #entry(status: number) {
    return {
      protocol: this.#protocol,
      client: this.#client,
      route: this.#route,
      request: this.#request && {
        id: this.#id,
        method: this.#request.method,
        host: this.#request.host,
        target: this.#request.target,
      },
      status,
      bytesIn: this.#requestIn,
      bytesOut: this.#requestOut,
      startedMs: this.#startedMs,
      firstByteMs: this.#firstByteMs,
      tries: this.#tries,
      reused: this.#reused,
    };
  }

  #upstreamError(code: string, message: string): void {
    this.#meters.upstreamError(this.#network?.host ?? '', code, message);
  }
}

const switching = 101;
const complete: string = 'complete' satisfies Ended;
