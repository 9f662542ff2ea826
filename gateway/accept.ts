import type net from 'node:net';
import type { SecureContext } from 'node:tls';
import tls from 'node:tls';
import { podsDomain } from '#contracts/hosts.ts';
import type { Route } from '#contracts/route.ts';
import type { ClientHello } from './client-hello.ts';
import { ClientHelloReader } from './client-hello.ts';
import type { Mortal } from './deadlines.ts';
import type { Http1Context } from './http1/context.ts';
import { pages, renderPage } from './pages/pages.ts';
import {
  encryptionRequest,
  encryptionRequestBytes,
  errorResponse,
  sqlStates,
} from './tcp/postgres.ts';
import type { PostgresRefusal } from './tcp/serve.ts';
import { refusePostgres, serveTcp } from './tcp/serve.ts';
import { alpnFor, unrecognizedName } from './tls.ts';

/** What accepting needs of its worker. */
export interface AcceptContext {
  readonly http1: Http1Context;
  readonly domain: string;
  /** Calls back with the context for a host, the wildcard's, or undefined when there is none. */
  certificate(host: string, own: boolean, done: (context: SecureContext | undefined) => void): void;
  serveHttp(socket: net.Socket, peer: { sni: string; address: string }): void;
}

const tlsRecord = 0x16;
const httpLetters = /^[A-Z]/;

/**
 * Peeks at the first bytes of a connection and decides: the route is known before TLS starts, so
 * certificate, ALPN and protocol all follow from it.
 */
export class Accepting implements Mortal {
  deadlineMs: number;
  readonly #raw: net.Socket;
  readonly #context: AcceptContext;
  /** The first bytes, while they are too few to tell what they are. */
  #bytes: Buffer = Buffer.alloc(0);
  #reader: ClientHelloReader | undefined;
  #postgres = false;
  readonly #onData = (bytes: Buffer): void => this.#data(bytes);

  constructor(raw: net.Socket, context: AcceptContext) {
    const { deadlines, limits } = context.http1;
    this.#raw = raw;
    this.#context = context;
    this.deadlineMs = deadlines.nowMs + limits.firstByteMs;
    deadlines.add(this);
    raw.on('data', this.#onData);
    raw.on('error', () => undefined);
    raw.on('end', () => raw.destroySoon());
    raw.on('close', () => deadlines.delete(this));
  }

  expire(): void {
    this.#raw.destroy();
  }

  #data(bytes: Buffer): void {
    if (this.#reader) {
      this.#hello(this.#reader, bytes);
      return;
    }
    const { deadlines, limits } = this.#context.http1;
    if (this.#bytes.length === 0) this.deadlineMs = deadlines.nowMs + limits.clientHelloMs;
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    const first = this.#bytes[0] ?? 0;
    if (first === tlsRecord) {
      this.#reader = new ClientHelloReader(limits);
      this.#hello(this.#reader, this.#bytes);
    } else if (this.#postgres) this.#raw.destroy();
    else if (first === 0) this.#postgresRequest();
    else if (httpLetters.test(String.fromCharCode(first))) {
      const page = pages.refused(400, 'this port speaks TLS: use https');
      this.#refuse(Buffer.from(renderPage(page, { html: false, head: false, keepAlive: false })));
    } else this.#raw.destroy();
  }

  #postgresRequest(): void {
    if (this.#bytes.length < encryptionRequestBytes) return;
    const request = encryptionRequest(this.#bytes);
    // Bytes sent before our answer would be read as if they had come encrypted (CVE-2021-23214).
    const early = this.#bytes.length > encryptionRequestBytes;
    if (request === 'other') {
      const message = 'connections are encrypted here: use sslmode=require or stricter';
      this.#refuse(errorResponse(sqlStates.rejected, message));
      return;
    }
    if (early) {
      this.#raw.destroy();
      return;
    }
    this.#bytes = Buffer.alloc(0);
    this.#postgres = request === 'ssl';
    this.#raw.write(request === 'ssl' ? 'S' : 'N');
  }

  #hello(reader: ClientHelloReader, bytes: Buffer): void {
    const hello = reader.push(bytes);
    if (hello === 'incomplete') return;
    if (hello === 'refused') {
      this.#raw.destroy();
      return;
    }
    const { serverName } = hello;
    const route =
      serverName === undefined ? undefined : this.#context.http1.routing.table.find(serverName);
    const inside = serverName?.endsWith(`.${podsDomain(this.#context.domain)}`) === true;
    if (serverName === undefined || (!route && !inside)) {
      this.#refuse(unrecognizedName);
      return;
    }
    // From here on the bytes belong to TLS; nothing is read until its certificate is there.
    this.#raw.off('data', this.#onData);
    this.#raw.pause();
    this.#raw.unshift(reader.received);
    // An idle connection must not keep its ClientHello in memory.
    this.#reader = undefined;
    this.#bytes = Buffer.alloc(0);
    this.deadlineMs = this.#context.http1.deadlines.nowMs + this.#context.http1.limits.handshakeMs;
    this.#context.certificate(serverName, route !== undefined, (secureContext) => {
      if (this.#raw.destroyed) return;
      if (secureContext) this.#handshake(secureContext, hello, { serverName, route });
      else this.#refuse(unrecognizedName);
    });
  }

  #handshake(
    secureContext: SecureContext,
    { alpn }: ClientHello,
    { serverName, route }: { serverName: string; route: Route | undefined },
  ): void {
    const protocol = route?.protocol ?? 'http';
    // A Postgres client is told in its own protocol that a host speaks http: no ALPN ends it before.
    const protocols = this.#postgres && protocol === 'http' ? undefined : alpnFor(protocol, alpn);
    const socket = new tls.TLSSocket(this.#raw, {
      isServer: true,
      secureContext,
      ...(protocols ? { ALPNProtocols: protocols } : {}),
    });
    socket.on('error', () => undefined);
    socket.on('_tlsError', () => socket.destroy());
    socket.on('close', () => this.#raw.destroy());
    // Half-open sockets stay: who leaves in the middle of a handshake has nothing left to hear.
    const left = (): void => void socket.destroy();
    socket.on('end', left);
    socket.once('secure', () => {
      socket.off('end', left);
      this.#context.http1.deadlines.delete(this);
      this.#serve(socket, serverName, route);
    });
  }

  #serve(socket: tls.TLSSocket, serverName: string, route: Route | undefined): void {
    const { http1 } = this.#context;
    if (route && route.protocol !== 'http') {
      serveTcp(socket, route, http1);
    } else if (this.#postgres) {
      refusePostgres(socket, http1, whyNoDatabase(serverName, route));
    } else {
      const address = clientAddress(this.#raw);
      this.#context.serveHttp(socket, { sni: serverName, address });
    }
  }

  /** A last word, and time for the client to read it. */
  #refuse(answer: Buffer): void {
    this.#raw.off('data', this.#onData);
    this.#raw.end(answer);
    this.#raw.resume();
    this.deadlineMs = this.#context.http1.deadlines.nowMs + this.#context.http1.limits.drainMs;
  }
}

function whyNoDatabase(serverName: string, route: Route | undefined): PostgresRefusal {
  const { cannotConnectNow, rejected } = sqlStates;
  if (!route) return { sqlState: rejected, message: `there is no pod at ${serverName}` };
  if (!route.upstream) return { sqlState: cannotConnectNow, message: route.message };
  return { sqlState: rejected, message: `${serverName} is no database, it speaks http` };
}

/** Without the prefix of an IPv4 address that came in on the IPv6 socket (RFC 4291, 2.5.5.2). */
export const clientAddress = ({ remoteAddress = '' }: net.Socket): string =>
  remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress;
