import net from 'node:net';
import tls from 'node:tls';
import type { Clock } from '#contracts/clock.ts';
import type { Random } from '#contracts/random.ts';
import type { AcceptContext } from '../accept.ts';
import { Accepting } from '../accept.ts';
import { AddressLimits } from '../address-limits.ts';
import { Deadlines } from '../deadlines.ts';
import { Challenges } from '../challenges/challenges.ts';
import { Http1Connection } from '../http1/connection.ts';
import { Http2Connection } from '../http2/connection.ts';
import type { Http1Context, Peer } from '../http1/context.ts';
import { limits } from '../limits.ts';
import type { FromWorker, ToWorker, WorkerTerms } from '../messages.ts';
import { AccessLog } from '../observe/access-log.ts';
import type { LineSink } from '../observe/access-log.ts';
import { Meters } from '../observe/meters.ts';
import type { Listener, Report } from '../observe/report.ts';
import type { Standing } from '../observe/reporter.ts';
import { Reporter } from '../observe/reporter.ts';
import { identify } from '../proxied.ts';
import { Proving } from '../challenges/proving.ts';
import { RouteTable } from '../route-table.ts';
import { Cancels } from '../tcp/cancels.ts';
import { H2cSessions } from '../upstream/h2c-sessions.ts';
import { UpstreamPool } from '../upstream/pool.ts';
import { Contexts } from './contexts.ts';

export interface WorkerPorts {
  readonly clock: Clock;
  readonly random: Random;
  /** Descriptors of the bound sockets: https, http. */
  readonly descriptors: { readonly https: number; readonly http: number };
  /** Where the access log goes. */
  readonly lines: LineSink;
  readonly process: { readonly pid: number; readonly hostname: string };
  send(message: FromWorker): void;
  /** Everything is drained: the process may end, when it has told the last of what it counted. */
  drained(last: Report): void;
}

/** Never for the hosts below: each pod's owner speaks for one host. */
const hstsField = (seconds: number): string =>
  seconds > 0 ? `Strict-Transport-Security: max-age=${seconds}\r\n` : '';

function requestIds(random: Random): () => string {
  const prefix = random.bytes(6).toString('hex');
  let requests = 0;
  return () => `${prefix}-${(requests += 1).toString(36)}`;
}

const backlog = 1024; // connections that wait while a worker is replaced

/** Accepts and serves. Routes and certificates come by message; nothing here waits for a store. */
export class Worker {
  readonly #ports: WorkerPorts;
  readonly #terms: WorkerTerms;
  readonly #table: RouteTable;
  readonly #contexts: Contexts;
  readonly #challenges: Challenges;
  readonly #deadlines: Deadlines;
  readonly #http1: Http1Context;
  readonly #accept: AcceptContext;
  readonly #addresses: AddressLimits;
  readonly #cancels: Cancels;
  readonly #meters: Meters;
  readonly #log: AccessLog;
  readonly #reporter: Reporter;
  /** With the address that each counts for; undefined while it counts for none. */
  readonly #sockets = new Map<net.Socket, string | undefined>();
  readonly #servers: net.Server[] = [];
  #draining = false;

  constructor(terms: WorkerTerms, ports: WorkerPorts) {
    const { clock } = ports;
    this.#ports = ports;
    this.#terms = terms;
    this.#table = new RouteTable(terms.domain, terms.api);
    this.#deadlines = new Deadlines(clock);
    this.#log = new AccessLog({ level: terms.accessLog, sink: ports.lines, clock }, ports.process);
    this.#meters = new Meters(clock, this.#log);
    this.#addresses = new AddressLimits(limits, this.#deadlines, terms.trustedProxies, (bound) =>
      this.#meters.limitHit(bound),
    );
    const bounds = { ...limits, contextsMax: terms.contextsMax };
    this.#contexts = new Contexts({ clock, limits: bounds }, terms.ticketMaster, {
      wanted: (host) => ports.send({ kind: 'certificate-wanted', host }),
      unusable: (host, reason) => ports.send({ kind: 'certificate-unusable', host, reason }),
      limited: (host, bound) => this.#meters.limitHit(bound, 'shown the wildcard instead', host),
    });
    this.#challenges = new Challenges({ clock, limits }, (id) =>
      ports.send({ kind: 'challenge-wanted', id }),
    );
    this.#http1 = {
      challenges: this.#challenges,
      routing: {
        challenges: this.#challenges,
        table: this.#table,
        domain: terms.domain,
        publicHttpsPort: terms.publicHttpsPort,
      },
      upstreams: new UpstreamPool(this.#deadlines, limits),
      h2cSessions: new H2cSessions(this.#deadlines, limits),
      webSockets: new Set(),
      connections: new Set(),
      coders: { running: 0 },
      forwardedHeader: terms.forwardedHeader,
      hsts: hstsField(terms.hstsSeconds),
      random: ports.random,
      meters: this.#meters,
      deadlines: this.#deadlines,
      limits,
      nextRequestId: requestIds(ports.random),
      draining: () => this.#draining,
    };
    this.#cancels = new Cancels({ deadlines: this.#deadlines, limits }, (message) =>
      ports.send(message),
    );
    this.#accept = {
      cancels: this.#cancels,
      meters: this.#meters,
      routing: this.#http1.routing,
      proving: new Proving({ clock, limits, random: ports.random }, this.#challenges),
      deadlines: this.#deadlines,
      limits,
      certificate: (host, own, done) => this.#contexts.get(host, own, done),
      serveHttp: (socket, peer) => this.#https(socket, peer),
    };
    const send = (report: Report): void => ports.send({ kind: 'report', report });
    this.#reporter = new Reporter(this.#meters, { clock, standing: () => this.#standing(), send });
  }

  #standing(): Standing {
    const { upstreams, h2cSessions } = this.#http1;
    const { busy, idle } = upstreams.counts;
    return {
      connections: this.#sockets.size,
      upstreamBusy: busy + h2cSessions.count,
      upstreamIdle: idle,
      upstreamsMade: upstreams.made + h2cSessions.made,
      contexts: this.#contexts.count,
    };
  }

  handle(message: Exclude<ToWorker, { kind: 'begin' }>): void {
    switch (message.kind) {
      case 'routes':
        this.#table.apply(message);
        if (message.step !== undefined) {
          this.#table.complete();
          this.#ports.send({ kind: 'applied', step: message.step });
        }
        return;
      case 'certificate':
        this.#contexts.answer(message.host, message.identity);
        return;
      case 'ticket-master':
        this.#contexts.setMaster(message.master);
        return;
      case 'challenge':
        this.#challenges.told(message.id, message.answer);
        return;
      case 'certificates-changed':
        this.#contexts.forget(message.hosts);
        return;
      case 'wildcard':
        this.#table.heed(message);
        this.#contexts.setWildcard(message.domain, message.identity);
        return;
      case 'api':
        this.#table.moveApi(message.address);
        return;
      case 'serve':
        this.#listen();
        this.#ports.send({ kind: 'ready' });
        return;
      case 'drain':
        this.#drain();
        return;
      case 'cancel-asked':
        this.#cancels.asked(message);
        return;
      case 'cancel-owner':
        this.#cancels.answered(message);
    }
  }

  #listen(): void {
    this.#serve('https', (socket, address) => new Accepting(socket, address, this.#accept));
    this.#serve('http', (socket, address) =>
      this.#http(socket, {
        sni: undefined,
        address,
        port: this.#terms.httpPort,
        trustedProxies: this.#terms.trustedProxies,
        shown: undefined,
      }),
    );
  }

  #serve(listener: Listener, accepted: (socket: net.Socket, address: string) => void): void {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#sockets.set(socket, undefined);
      this.#meters.connection(listener);
      socket.on('close', () => this.#closed(socket));
      identify(socket, this.#terms, this.#accept, (address) => {
        if (!this.#addresses.opened(address)) {
          socket.resetAndDestroy();
          return;
        }
        this.#sockets.set(socket, address);
        accepted(socket, address);
      });
    });
    // Beyond it a connection is closed at once, before it costs a handshake.
    server.maxConnections = limits.connectionsPerWorkerMax;
    server.on('drop', () => this.#meters.limitHit('connectionsPerWorkerMax'));
    server.listen({ fd: this.#ports.descriptors[listener], backlog });
    this.#servers.push(server);
  }

  #closed(socket: net.Socket): void {
    const address = this.#sockets.get(socket);
    if (address !== undefined) this.#addresses.closed(address);
    this.#sockets.delete(socket);
    if (this.#draining && this.#sockets.size === 0) this.#end();
  }

  #https(socket: net.Socket, peer: Pick<Peer, 'sni' | 'address' | 'shown'>): void {
    const { publicHttpsPort: port, trustedProxies } = this.#terms;
    this.#http(socket, { ...peer, port, trustedProxies });
  }

  #http(socket: net.Socket, peer: Peer): void {
    const h2 = socket instanceof tls.TLSSocket && socket.alpnProtocol === 'h2';
    const Connection = h2 ? Http2Connection : Http1Connection;
    this.#http1.connections.add(new Connection(socket, this.#http1, peer));
  }

  /** Idle connections end soon, others with their answer; what remains at the deadline is cut. */
  #drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    for (const server of this.#servers) server.close();
    for (const connection of this.#http1.connections) connection.drain();
    for (const tunnel of this.#http1.webSockets) tunnel.leave();
    if (this.#sockets.size === 0) this.#end();
    else this.#ports.clock.after(limits.drainMs, () => this.#end());
  }

  #end(): void {
    this.#deadlines.stop();
    const last = this.#reporter.stop();
    this.#log.close(() => this.#ports.drained(last));
  }
}
