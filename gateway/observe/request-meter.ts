import type net from 'node:net';
import type { Route } from '#contracts/route.ts';
import type { Page } from '../pages/pages.ts';
import { pages } from '../pages/pages.ts';
import type { Meters } from './meters.ts';
import type { NetworkMeter } from './network-meter.ts';

/**
 * Counts the requests of a client's connection in HTTP/1.1, one after the other, or the one of an
 * HTTP/2 stream. Bytes are those of HTTP/1.1 as it is written, heads included, in both protocols.
 */
export class RequestMeter {
  readonly #meters: Meters;
  readonly #protocol: 'http1' | 'http2';
  #underWay = false;
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

  constructor(meters: Meters, protocol: 'http1' | 'http2') {
    this.#meters = meters;
    this.#protocol = protocol;
  }

  received(bytes: number): void {
    if (this.#network) this.#network.received(bytes);
    else this.#bytesIn += bytes;
  }

  sent(bytes: number): void {
    if (this.#network) this.#network.sent(bytes);
    else this.#bytesOut += bytes;
  }

  /** The whole head is there. `route`: of the pod that it is for, if there is one. */
  begin(route: Route | undefined): void {
    this.#underWay = true;
    this.#status = 0;
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
    this.#meters.firstByteTook(ms);
    this.#network?.firstByteTook(ms);
  }

  /** An answer of the gateway's own, also to what is no request. */
  paged(page: Page): void {
    const { status, code, message } = page;
    if (!this.#underWay) this.begin(undefined);
    this.#status = status;
    if (code.startsWith('EDGE_UPSTREAM_')) this.#upstreamError(code, message);
    if (page === pages.timeout) {
      this.#meters.limitHit('responseHeadMs', message, this.#network?.host);
    }
  }

  /** The pod's answer ends in the middle. */
  cut(): void {
    if (!this.#underWay) return;
    this.#upstreamError('EDGE_UPSTREAM_FAILED', 'the pod ended in the middle of its answer');
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
    this.#meters.tunnel(network, pod);
  }

  /** The answer is out, or the client is gone; calling it again is fine. */
  end(): void {
    if (!this.#underWay) return;
    this.#underWay = false;
    this.#meters.requestsInFlight -= 1;
    this.#meters.answered(this.#protocol, this.#status);
    this.#meters.requestTook(this.#meters.nowMs() - this.#startedMs);
    const network = this.#network;
    this.#network = undefined;
    if (network) {
      network.answered(this.#status);
      network.closed();
    } else this.#meters.stray(this.#bytesIn, this.#bytesOut);
    this.#bytesIn = 0;
    this.#bytesOut = 0;
  }

  #upstreamError(code: string, message: string): void {
    this.#meters.upstreamError(this.#network?.host ?? '', code, message);
  }
}

const switching = 101;
