import type net from 'node:net';
import type { Route } from '#contracts/route.ts';
import type { Page } from '../pages/pages.ts';
import { pages } from '../pages/pages.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { AccessEntry, Ended } from './access-log.ts';
import { Party } from './access-log.ts';
import type { Meters } from './meters.ts';
import type { NetworkMeter } from './network-meter.ts';

/**
 * Counts the requests of a client's connection in HTTP/1.1, one after the other, or the one of an
 * HTTP/2 stream. Bytes are those of HTTP/1.1 as it is written, heads included, in both protocols.
 */
export class RequestMeter {
  readonly #meters: Meters;
  #underWay = false;
  /** Of the request under way: what its line will say. */
  readonly #entry: AccessEntry;
  #network: NetworkMeter | undefined;
  /** Of the request before: the next one is mostly for the same. */
  #lastRoute: Route | undefined;
  #lastNetwork: NetworkMeter | undefined;
  #startedMs = 0;
  /** Not yet known whose; those of `#entry` are all of the request's. */
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(meters: Meters, protocol: 'http1' | 'http2', client: string) {
    this.#meters = meters;
    this.#entry = {
      party: new Party(protocol, client, undefined),
      request: undefined,
      id: '',
      status: 0,
      bytesIn: 0,
      bytesOut: 0,
      ms: 0,
      firstByteMs: undefined,
      tries: 0,
      reused: false,
      ended: complete,
    };
  }

  received(bytes: number): void {
    this.#entry.bytesIn += bytes;
    if (this.#network) this.#network.received(bytes);
    else this.#bytesIn += bytes;
  }

  sent(bytes: number): void {
    this.#entry.bytesOut += bytes;
    if (this.#network) this.#network.sent(bytes);
    else this.#bytesOut += bytes;
  }

  /** The whole head is there. `route`: of the pod that it is for, if there is one. */
  begin(route: Route | undefined, request?: RequestHead, id = ''): void {
    const entry = this.#entry;
    const { party } = entry;
    this.#underWay = true;
    if (route !== party.route) entry.party = new Party(party.protocol, party.client, route);
    entry.request = request;
    entry.id = id;
    entry.status = 0;
    entry.ended = complete;
    entry.tries = 0;
    entry.reused = false;
    entry.firstByteMs = undefined;
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
    this.#entry.status = status;
    const ms = this.#meters.nowMs() - this.#startedMs;
    this.#entry.firstByteMs = ms;
    this.#meters.firstByteTook(ms);
    this.#network?.firstByteTook(ms);
  }

  /** An answer of the gateway's own, also to what is no request. */
  paged(page: Page): void {
    const { status, code, message } = page;
    if (!this.#underWay) this.begin(undefined);
    this.#entry.status = status;
    this.#entry.ended = code;
    if (code.startsWith('EDGE_UPSTREAM_')) this.#upstreamError(code, message);
    if (page === pages.timeout) {
      this.#meters.limitHit('responseHeadMs', message, this.#network?.host);
    }
  }

  /** The pod's answer ends in the middle. */
  cut(): void {
    if (!this.#underWay) return;
    this.#entry.ended = 'pod cut it';
    this.#upstreamError('EDGE_UPSTREAM_FAILED', 'the pod ended in the middle of its answer');
  }

  /** It goes to the pod, the first time or again. */
  goes(reused: boolean): void {
    this.#entry.tries += 1;
    this.#entry.reused = reused;
  }

  /** Somebody was too slow, and the connection is closed for that. */
  expired(): void {
    this.#entry.ended = 'timed out';
  }

  /** The client is gone, or we closed: what is under way has no other end. */
  left(): void {
    if (this.#entry.ended === complete) this.#entry.ended = 'client left' satisfies Ended;
    this.end();
  }

  /** The pod agreed to switch protocols: from now on it is a tunnel. `first` was read of it already. */
  tunnel(pod: net.Socket, first: Buffer): void {
    if (!this.#underWay) return;
    const entry = this.#entry;
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
      ...entry,
      party: new Party('websocket', entry.party.client, entry.party.route),
      status: switching,
      bytesOut: entry.bytesOut + first.length,
      startedMs: this.#startedMs,
    });
    entry.bytesIn = 0;
    entry.bytesOut = 0;
  }

  /** The answer is out, or the client is gone; calling it again is fine. */
  end(): void {
    if (!this.#underWay) return;
    const entry = this.#entry;
    this.#underWay = false;
    this.#meters.requestsInFlight -= 1;
    this.#meters.answered(entry.party.protocol, entry.status);
    entry.ms = this.#meters.nowMs() - this.#startedMs;
    this.#meters.requestTook(entry.ms);
    const { log } = this.#meters;
    if (log.wants(entry.status, entry.ended)) log.write(entry);
    entry.request = undefined;
    entry.bytesIn = 0;
    entry.bytesOut = 0;
    const network = this.#network;
    this.#network = undefined;
    if (network) {
      network.answered(entry.status);
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
const complete: string = 'complete' satisfies Ended;
