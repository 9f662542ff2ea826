import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import type { Message, Reading } from './ours.ts';

/** How Node's own programs read bytes from a socket; they are the reference. */
export class NodesReading {
  readonly #requests = makeRequestServer();
  readonly #responses = net.createServer();
  readonly #hellos = net.createServer();

  async start(): Promise<void> {
    for (const server of this.#servers) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    }
  }

  stop(): void {
    for (const server of this.#servers) server.close();
  }

  async requests(bytes: Buffer): Promise<Reading> {
    const messages: Message[] = [];
    let refused = false;
    const connection = once(this.#requests, 'connection');
    const socket = net.connect(portOf(this.#requests), '127.0.0.1');
    socket.on('error', () => undefined).resume();
    const [served] = (await connection) as [net.Socket];
    const seen = (request: http.IncomingMessage, response: http.ServerResponse): void => {
      if (request.socket !== served) return;
      const message = { start: request.method ?? '', body: '', whole: false };
      messages.push(message);
      // Node reads no request behind one that asks for an upgrade, granted or not.
      refused ||= request.headers.upgrade !== undefined;
      request.on('data', (data: Buffer) => (message.body += data.toString('latin1')));
      request.on('error', () => undefined);
      request.on('end', () => {
        message.whole = true;
        response.end();
      });
    };
    const error = (): void => {
      refused = true;
      served.destroy();
    };
    this.#requests.on('request', seen).on('checkExpectation', seen).on('clientError', error);
    socket.end(bytes);
    await once(served, 'close');
    this.#requests.off('request', seen).off('checkExpectation', seen).off('clientError', error);
    socket.destroy();
    return { messages, refused };
  }

  async response(bytes: Buffer, method: string): Promise<Reading> {
    this.#responses.once('connection', (socket: net.Socket) => {
      socket.on('error', () => undefined).resume();
      socket.once('data', () => socket.end(bytes));
    });
    const port = portOf(this.#responses);
    const request = http.request({ host: '127.0.0.1', port, method, agent: false });
    const { promise, resolve } = Promise.withResolvers<Reading>();
    const refuse = (): void => resolve({ messages: [], refused: true });
    request.on('error', refuse).on('upgrade', refuse).on('close', refuse);
    request.on('response', (response) => {
      const message = { start: String(response.statusCode), body: '', whole: true };
      request
        .off('error', refuse)
        .off('close', refuse)
        .on('error', () => undefined);
      response.on('data', (data: Buffer) => (message.body += data.toString('latin1')));
      response.on('error', refuse);
      response.on('end', () => resolve({ messages: [message], refused: false }));
      response.on('close', refuse);
    });
    request.end();
    const reading = await promise;
    request.destroy();
    return reading;
  }

  /** The server name that OpenSSL finds in a ClientHello; undefined where it finds none it likes. */
  async serverName(bytes: Buffer): Promise<string | undefined> {
    const connection = once(this.#hellos, 'connection');
    const socket = net.connect(portOf(this.#hellos), '127.0.0.1');
    socket.on('error', () => undefined).resume();
    const [served] = (await connection) as [net.Socket];
    let name: string | undefined;
    const secured = new tls.TLSSocket(served, {
      isServer: true,
      SNICallback: (servername, done) => {
        name = servername;
        done(null);
      },
    });
    secured.on('error', () => undefined).on('_tlsError', () => served.destroy());
    secured.on('end', () => served.destroy()).resume();
    socket.end(bytes);
    if (!served.destroyed) await once(served, 'close');
    secured.destroy();
    socket.destroy();
    return name;
  }

  get #servers(): readonly net.Server[] {
    return [this.#requests, this.#responses, this.#hellos];
  }
}

function makeRequestServer(): http.Server {
  const server = http.createServer({
    maxHeaderSize: 1024 * 1024,
    requireHostHeader: false,
    keepAliveTimeout: 0,
    requestTimeout: 0,
    headersTimeout: 0,
  });
  server.maxHeadersCount = 0;
  return server;
}

const portOf = (server: net.Server): number => (server.address() as net.AddressInfo).port;
