import { once } from 'node:events';
import net from 'node:net';
import { listening } from '../gateway-examples.ts';

/**
 * The port 80 at which an authority finds a site. Who comes waits here until `onLook` has settled, when
 * it is the authority, and is then led to the first gateway that takes connections.
 */
export class AcmeDoor {
  /** Told of each request of the authority before a gateway sees it. */
  onLook: () => Promise<void> = async () => undefined;
  /** The same for our own look before the authority is asked to. */
  onPreflight: () => Promise<void> = async () => undefined;
  readonly port: number;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  #ports: readonly number[] = [];

  static async open(): Promise<AcmeDoor> {
    const server = net.createServer();
    return new AcmeDoor(server, await listening(server));
  }

  private constructor(server: net.Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on('connection', (socket) => {
      socket.on('error', () => undefined);
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      void this.#lead(socket).catch(() => socket.destroy());
    });
  }

  /** From now on, in this order. */
  leadTo(...ports: readonly number[]): void {
    this.#ports = ports;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #lead(socket: net.Socket): Promise<void> {
    const [head]: Buffer[] = await once(socket, 'data');
    socket.pause();
    if (/^user-agent: .*pebble/im.test(String(head))) await this.onLook();
    else await this.onPreflight();
    for (const port of this.#ports) {
      const gateway = net.connect(port, '127.0.0.1');
      this.#sockets.add(gateway);
      gateway.on('close', () => this.#sockets.delete(gateway));
      try {
        await once(gateway, 'connect');
      } catch {
        continue;
      }
      gateway.on('error', () => socket.destroy());
      gateway.write(head ?? '');
      socket.pipe(gateway).pipe(socket);
      return;
    }
    socket.destroy();
  }
}
