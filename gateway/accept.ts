import type net from 'node:net';
import type tls from 'node:tls';
import type { Admission, Service } from './admission.ts';
import { admit } from './admission.ts';
import { alerts } from './alerts.ts';
import { ClientHelloReader } from './client-hello.ts';
import type { Proving } from './challenges/proving.ts';
import { ClientSocket, ignore } from './client-socket.ts';
import type { Mortal } from './deadlines.ts';
import type { Peer } from './http1/context.ts';
import type { Meters } from './observe/meters.ts';
import type { HandshakeResult } from './observe/report.ts';
import { noAnswerPage, pages } from './pages/pages.ts';
import { renderPage } from './pages/render.ts';
import type { Routing } from './routing.ts';
import type { TcpContext } from './tcp/connect.ts';
import type { Cancels } from './tcp/cancels.ts';
import { connectPod, requestTls } from './tcp/connect.ts';
import {
  cancelRequestBytes,
  encryptionRequest,
  encryptionRequestBytes,
  errorResponse,
  sqlStates,
} from './tcp/postgres.ts';
import { refusePostgres } from './tcp/refuse.ts';
import { serveTcp } from './tcp/serve.ts';
import { splice } from './tcp/splice.ts';
import type { Presented } from './tls.ts';

/** What accepting needs of its worker. */
export interface AcceptContext extends TcpContext {
  readonly routing: Routing;
  readonly cancels: Cancels;
  readonly meters: Meters;
  readonly proving: Proving;
  /** Calls back with the certificate of a host, the wildcard, or undefined when there is none. */
  certificate(host: string, own: boolean, done: (shown: Presented | undefined) => void): void;
  serveHttp(socket: net.Socket, peer: Pick<Peer, 'sni' | 'address' | 'shown'>): void;
}

type Proved = Extract<Admission, { kind: 'challenge' }>;
type Passed = Extract<Admission, { kind: 'pass' }>;
type Terminated = Extract<Admission, { kind: 'terminate' }>;

const tlsRecord = 0x16;
const httpLetters = /^[A-Z]/;
const nothing: Buffer = Buffer.alloc(0);

/**
 * Peeks at the first bytes of a connection and decides: the route is known before TLS starts, so
 * certificate, ALPN and protocol all follow from it.
 */
export class Accepting implements Mortal {
  deadlineMs: number;
  readonly #raw: net.Socket;
  /** The client's, which is not the peer's behind a balancer. */
  readonly #address: string;
  readonly #context: AcceptContext;
  /** The first bytes, while they are too few to tell what they are. */
  #bytes = nothing;
  #reader: ClientHelloReader | undefined;
  #gssRefused = false;
  #sslRequest = false;
  /** It sent something: who only looks whether the port is open makes no handshake fail. */
  #spoke = false;
  /** How the handshake went was told to the meters, or there is none. */
  #told = false;
  readonly #onData = (bytes: Buffer): void => this.#data(bytes);
  readonly #onEnd = (): void => this.#raw.destroySoon();
  readonly #onClose = (): void => {
    this.#context.deadlines.delete(this);
    if (this.#spoke) this.#tell('failed');
  };

  constructor(raw: net.Socket, address: string, context: AcceptContext) {
    const { deadlines, limits } = context;
    this.#raw = raw;
    this.#address = address;
    this.#context = context;
    this.deadlineMs = deadlines.nowMs + limits.firstByteMs;
    deadlines.add(this);
    raw.on('data', this.#onData);
    raw.on('error', ignore);
    raw.on('end', this.#onEnd);
    raw.on('close', this.#onClose);
  }

  expire(): void {
    this.#raw.destroy();
  }

  #data(bytes: Buffer): void {
    if (this.#reader) {
      this.#hello(this.#reader, bytes);
      return;
    }
    const { deadlines, limits } = this.#context;
    this.#spoke = true;
    if (this.#bytes.length === 0) this.deadlineMs = deadlines.nowMs + limits.clientHelloMs;
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    const first = this.#bytes[0] ?? 0;
    if (first === tlsRecord) {
      this.#reader = new ClientHelloReader(limits);
      this.#hello(this.#reader, this.#bytes);
    } else if (this.#sslRequest) this.#raw.destroy();
    else if (first === 0) this.#postgresRequest();
    else if (httpLetters.test(String.fromCharCode(first))) {
      const page = pages.refused(400, 'this port speaks TLS: use https');
      this.#refuse(renderPage(page, undefined, false));
    } else this.#raw.destroy();
  }

  #postgresRequest(): void {
    if (this.#bytes.length < encryptionRequestBytes) return;
    const cancelBytes = cancelRequestBytes(this.#bytes);
    if (cancelBytes !== undefined) {
      if (this.#bytes.length >= cancelBytes) this.#cancel(cancelBytes);
      return;
    }
    const request = encryptionRequest(this.#bytes);
    // Bytes sent before our answer would be read as if they had come encrypted (CVE-2021-23214).
    const early = this.#bytes.length > encryptionRequestBytes;
    if (request === 'other') {
      const message = 'connections are encrypted here: use sslmode=require or stricter';
      this.#refuse(errorResponse(sqlStates.rejected, message));
      return;
    }
    if (early || (request === 'gss' && this.#gssRefused)) {
      this.#raw.destroy();
      return;
    }
    this.#bytes = nothing;
    this.#sslRequest = request === 'ssl';
    this.#gssRefused ||= request === 'gss';
    this.#raw.write(request === 'ssl' ? 'S' : 'N');
  }

  #cancel(length: number): void {
    this.#raw.off('data', this.#onData);
    this.#context.deadlines.delete(this);
    this.#told = true;
    const request = this.#bytes;
    // More than the one message is none.
    if (request.length > length) this.#raw.destroy();
    else this.#context.cancels.serve(this.#raw, request, this.#address);
  }

  #hello(reader: ClientHelloReader, bytes: Buffer): void {
    const hello = reader.push(bytes);
    if (hello === 'incomplete') return;
    if (hello === 'refused') {
      this.#refuse(alerts.decodeError);
      return;
    }
    const { deadlines, limits, routing } = this.#context;
    const arrival = { hello, address: this.#address, sslRequest: this.#sslRequest };
    const admission = admit(arrival, routing);
    if (admission.kind === 'alert') {
      this.#refuse(admission.alert);
      return;
    }
    // From here on the bytes belong to TLS, ours or the pod's; nothing is read until it is there.
    this.#raw.off('data', this.#onData);
    this.#raw.pause();
    // An idle connection must not keep its ClientHello in memory.
    this.#reader = undefined;
    this.#bytes = nothing;
    this.deadlineMs = deadlines.nowMs + limits.handshakeMs;
    if (admission.kind === 'challenge') this.#prove(admission, reader.received);
    else if (admission.kind === 'pass') this.#pass(admission, reader.received);
    else this.#terminate(admission, reader.received);
  }

  /** A certificate authority wants to see the certificate of its challenge, and nothing else. */
  #prove({ host, id, otherwise }: Proved, hello: Buffer): void {
    const { deadlines, limits, proving } = this.#context;
    this.deadlineMs = deadlines.nowMs + limits.alpnChallengeMs;
    proving.context(host, id, (context) => {
      if (this.#raw.destroyed) return;
      if (context) {
        this.#raw.unshift(hello);
        this.#tell('passed');
        proving.handshake(this.#raw, context);
      } else if (otherwise.kind === 'pass') this.#pass(otherwise, hello);
      else this.#refuse(otherwise.alert);
    });
  }

  /** The pod ends TLS itself. It is asked as we were asked: by SSLRequest, or by the hello alone. */
  #pass({ route, upstream }: Passed, hello: Buffer): void {
    const join = (pod: net.Socket | undefined, otherwise: Buffer): void => {
      if (this.#raw.destroyed) pod?.destroy();
      else if (!pod) this.#refuse(otherwise);
      else {
        this.#context.deadlines.delete(this);
        this.#tell('passed');
        this.#context.meters.session(route, pod, this.#address);
        pod.write(hello);
        splice(this.#raw, pod);
      }
    };
    // Who ends right behind the hello may still read: the tunnel passes the end on.
    this.#raw.off('end', this.#onEnd);
    connectPod(upstream, this.#context, (pod, unreached) => {
      if (!pod) {
        this.#context.meters.sessionFailed(route, noAnswerPage(unreached), this.#address);
      }
      if (!pod || !this.#sslRequest) join(pod, alerts.internalError);
      else requestTls(pod, this.#context, (agreed) => join(agreed, alerts.handshakeFailure));
    });
  }

  #terminate(admission: Terminated, hello: Buffer): void {
    const { host, own } = admission;
    this.#raw.unshift(hello);
    this.#context.certificate(host ?? '', own, (shown) => {
      if (this.#raw.destroyed) return;
      // A host without a route has nothing to say that a certificate for other names could protect.
      const fits = shown && (host === undefined || own || shown.covers(host));
      if (fits) this.#handshake(shown, admission);
      else this.#refuse(host === undefined ? alerts.missingExtension : alerts.unrecognizedName);
    });
  }

  #handshake(shown: Presented, { alpn, host, service }: Terminated): void {
    const socket = new ClientSocket(this.#raw, { secureContext: shown.context, alpn });
    socket.once('secure', () => {
      socket.established();
      this.#letGo();
      this.#tell(socket.isSessionReused() ? 'resumed' : 'full');
      this.#serve(socket, service, { sni: host ?? '', address: this.#address, shown });
    });
  }

  /** Of what may be idle for hours, so that nothing of this is kept for as long. */
  #letGo(): void {
    this.#context.deadlines.delete(this);
    this.#raw.off('end', this.#onEnd);
    this.#raw.off('close', this.#onClose);
  }

  #serve(
    socket: tls.TLSSocket,
    service: Service,
    peer: Pick<Peer, 'sni' | 'address' | 'shown'>,
  ): void {
    const client = { socket, address: this.#address };
    if (service.kind === 'tcp') serveTcp(client, service.route, this.#context);
    else if (service.kind === 'no-database') refusePostgres(socket, this.#context, service.refusal);
    else this.#context.serveHttp(socket, peer);
  }

  #tell(result: HandshakeResult): void {
    if (!this.#told) this.#context.meters.handshake(result);
    this.#told = true;
  }

  /** A last word, and time for the client to read it. */
  #refuse(answer: Buffer): void {
    this.#tell('refused');
    this.#raw.off('data', this.#onData);
    this.#raw.end(answer);
    this.#raw.resume();
    this.deadlineMs = this.#context.deadlines.nowMs + this.#context.limits.drainMs;
  }
}
