import type net from 'node:net';
import type { Clock } from '#contracts/clock.ts';
import type { Route } from '#contracts/route.ts';
import type { Page } from '../pages/pages.ts';
import { classOf, noStatuses, Stopwatch } from './buckets.ts';
import type { Statuses } from './buckets.ts';
import { NetworkMeter } from './network-meter.ts';
import type {
  CountedLimit,
  Counts,
  HandshakeResult,
  Listener,
  Now,
  Protocol,
  RecentError,
  Report,
} from './report.ts';
import type { AccessEntry, AccessLog, Ended } from './access-log.ts';
import { Party } from './access-log.ts';
import { TunnelMeter } from './tunnel-meter.ts';

const recentErrorsMax = 32; // of one report: for people who look, not for counting

const sessionJoined = 200;

type Requests = Record<Protocol, Statuses>;

const noRequests = (): Requests => ({
  http1: noStatuses(),
  http2: noStatuses(),
  websocket: noStatuses(),
  tcp: noStatuses(),
  postgres: noStatuses(),
});

/** A tunnel while nobody knows yet how it ends. */
export type TunnelEntry = Omit<AccessEntry, 'ms' | 'ended'> & { readonly startedMs: number };

const noRequest = {
  request: undefined,
  id: '',
  status: sessionJoined,
  bytesIn: 0,
  bytesOut: 0,
  firstByteMs: undefined,
  tries: 1,
  reused: false,
};

const of = (route: Route, client: string) => ({
  party: new Party(sessionProtocol(route), client, route),
});

function endOf(pod: net.Socket, failed: boolean): Ended {
  if (failed) return 'broken off';
  return pod.readableEnded ? 'pod ended it' : 'client ended it';
}

/** Of what is not read: TLS that is passed through counts with TCP. */
const sessionProtocol = ({ protocol }: Route): 'tcp' | 'postgres' =>
  protocol === 'postgres' ? 'postgres' : 'tcp';

/**
 * What a worker counts. Counting is adding to a number: no object, closure or map entry is made for a
 * request. Every second `report` takes what has come together, and everything begins at zero again.
 */
export class Meters {
  requestsInFlight = 0;
  readonly log: AccessLog;
  readonly #clock: Clock;
  readonly #networks = new WeakMap<Route, NetworkMeter>();
  readonly #tunnels = new Set<TunnelMeter>();
  #touched: NetworkMeter[] = [];
  #connections: Partial<Record<Listener, number>> = {};
  #handshakes: Partial<Record<HandshakeResult, number>> = {};
  #requests: Requests = noRequests();
  #requestTiming = new Stopwatch();
  #firstByteTiming = new Stopwatch();
  /** Of requests that are no pod's. */
  #bytesIn = 0;
  #bytesOut = 0;
  #upstreamConnections = 0;
  #upstreamErrors: Record<string, number> = {};
  #limitsHit: Partial<Record<CountedLimit, number>> = {};
  #errors: RecentError[] = [];

  constructor(clock: Clock, log: AccessLog) {
    this.#clock = clock;
    this.log = log;
  }

  /** Monotonic. */
  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  get tunnels(): number {
    return this.#tunnels.size;
  }

  connection(listener: Listener): void {
    this.#connections[listener] = (this.#connections[listener] ?? 0) + 1;
  }

  handshake(result: HandshakeResult): void {
    this.#handshakes[result] = (this.#handshakes[result] ?? 0) + 1;
  }

  /** The same for a route as long as that is the same value. */
  network(route: Route): NetworkMeter {
    const known = this.#networks.get(route);
    if (known) return known;
    const meter = new NetworkMeter(route.host, (touched) => this.#touched.push(touched));
    this.#networks.set(route, meter);
    return meter;
  }

  /** Bytes of requests and answers that belong to no pod. */
  stray(bytesIn: number, bytesOut: number): void {
    this.#bytesIn += bytesIn;
    this.#bytesOut += bytesOut;
  }

  answered(protocol: Protocol, status: number): void {
    this.#requests[protocol][classOf(status)] += 1;
  }

  requestTook(ms: number): void {
    this.#requestTiming.add(ms);
  }

  firstByteTook(ms: number): void {
    this.#firstByteTiming.add(ms);
  }

  /** A session of TCP or Postgres, ended here or passed through, is joined with its pod. */
  session(route: Route, pod: net.Socket, client: string): void {
    const network = this.network(route);
    this.#upstreamConnections += 1;
    this.answered(sessionProtocol(route), sessionJoined);
    network.joined();
    this.tunnel(network, pod, { ...noRequest, ...of(route, client), startedMs: this.nowMs() });
  }

  /** Its pod cannot be reached: `page` says why. */
  sessionFailed(route: Route, page: Page, client: string): void {
    this.upstreamError(route.host, page.code, page.message);
    this.sessionRefused(route, page, client);
  }

  /** Its pod is not there to be asked: `page` says why. */
  sessionRefused(route: Route, { status, code }: Page, client: string): void {
    this.answered(sessionProtocol(route), status);
    if (!this.log.wants(status, code)) return;
    this.log.write({ ...noRequest, ...of(route, client), tries: 0, status, ms: 0, ended: code });
  }

  /** A tunnel to `pod` stands; its bytes are looked up once a second, and cost nothing meanwhile. */
  tunnel(network: NetworkMeter, pod: net.Socket, entry: TunnelEntry): void {
    const tunnel = new TunnelMeter(network, pod);
    this.#tunnels.add(tunnel);
    network.opened();
    pod.once('close', (failed) => {
      tunnel.sample();
      this.#tunnelEnded(tunnel, entry, endOf(pod, failed));
      network.closed();
      this.#tunnels.delete(tunnel);
    });
  }

  #tunnelEnded(tunnel: TunnelMeter, entry: TunnelEntry, ended: Ended): void {
    if (!this.log.wants(entry.status, ended)) return;
    const bytesIn = entry.bytesIn + tunnel.bytesIn;
    const bytesOut = entry.bytesOut + tunnel.bytesOut;
    this.log.write({ ...entry, bytesIn, bytesOut, ms: this.nowMs() - entry.startedMs, ended });
  }

  upstreamError(host: string, code: string, message: string): void {
    this.#upstreamErrors[code] = (this.#upstreamErrors[code] ?? 0) + 1;
    this.#remember({ host, kind: 'upstream', code, message, atMs: this.#clock.nowMs() });
  }

  /** A bound was reached; `host`: whose clients were told so, where one is known. */
  limitHit(code: CountedLimit, message = '', host?: string): void {
    this.#limitsHit[code] = (this.#limitsHit[code] ?? 0) + 1;
    if (host !== undefined) {
      this.#remember({ host, kind: 'limit', code, message, atMs: this.#clock.nowMs() });
    }
  }

  #remember(error: RecentError): void {
    this.#errors.push(error);
    if (this.#errors.length > recentErrorsMax) this.#errors.shift();
  }

  /** Everything since the report before. `grown`: what others have counted meanwhile. */
  report(grown: Pick<Counts, 'cpuSeconds' | 'upstreamConnections'>, now: Now): Report {
    for (const tunnel of this.#tunnels) tunnel.sample();
    const nowMs = this.#clock.nowMs();
    const networks = this.#touched.map((network) => network.take(nowMs));
    this.#touched = [];
    const inBytes = networks.reduce((sum, { bytesIn }) => sum + bytesIn, this.#bytesIn);
    const outBytes = networks.reduce((sum, { bytesOut }) => sum + bytesOut, this.#bytesOut);
    const report = {
      counts: {
        ...this.#counts(),
        bytesIn: inBytes,
        bytesOut: outBytes,
        cpuSeconds: grown.cpuSeconds,
        upstreamConnections: this.#upstreamConnections + grown.upstreamConnections,
      },
      now,
      networks,
      errors: this.#errors,
    };
    this.#reset();
    return report;
  }

  #counts(): Omit<Counts, 'bytesIn' | 'bytesOut' | 'cpuSeconds' | 'upstreamConnections'> {
    return {
      connections: this.#connections,
      handshakes: this.#handshakes,
      requests: this.#requests,
      requestTiming: this.#requestTiming.timing,
      firstByteTiming: this.#firstByteTiming.timing,
      upstreamErrors: this.#upstreamErrors,
      limitsHit: this.#limitsHit,
    };
  }

  #reset(): void {
    this.#connections = {};
    this.#handshakes = {};
    this.#requests = noRequests();
    this.#requestTiming = new Stopwatch();
    this.#firstByteTiming = new Stopwatch();
    this.#bytesIn = 0;
    this.#bytesOut = 0;
    this.#upstreamConnections = 0;
    this.#upstreamErrors = {};
    this.#limitsHit = {};
    this.#errors = [];
  }
}
