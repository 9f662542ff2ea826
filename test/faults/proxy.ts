import { once } from 'node:events';
import net from 'node:net';

/** A network cable: passes TCP connections on to a port, until it is cut; then bytes wait, as they would be sent again. */
export class Cable {
  readonly port: number;
  readonly #server: net.Server;
  readonly #target: number;
  readonly #pairs = new Set<Pair>();
  readonly #waiting = new Set<net.Socket>();
  #cut = false;

  static async to(target: number): Promise<Cable> {
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Cable(server, target);
  }

  private constructor(server: net.Server, target: number) {
    this.#server = server;
    this.#target = target;
    this.port = (server.address() as net.AddressInfo).port;
    server.on('connection', (socket) => {
      socket.on('error', () => undefined);
      if (this.#cut) this.#waiting.add(socket);
      else this.#join(socket);
    });
  }

  /** Nothing passes any more, and nobody is told. */
  cut(): void {
    this.#cut = true;
    for (const pair of this.#pairs) pair.cut();
  }

  heal(): void {
    this.#cut = false;
    for (const pair of this.#pairs) pair.heal();
    for (const socket of this.#waiting) if (!socket.destroyed) this.#join(socket);
    this.#waiting.clear();
  }

  close(): void {
    this.#server.close();
    for (const pair of this.#pairs) pair.destroy();
    for (const socket of this.#waiting) socket.destroy();
  }

  #join(near: net.Socket): void {
    const far = net.connect({ host: '127.0.0.1', port: this.#target, allowHalfOpen: true });
    const pair = new Pair(near, far, () => this.#pairs.delete(pair));
    this.#pairs.add(pair);
    pair.heal();
  }
}

/** Both ends of a connection; while it is cut the end of one is not known to the other. */
class Pair {
  readonly #ends: readonly [net.Socket, net.Socket];
  #cut = true;
  #over = false;

  constructor(near: net.Socket, far: net.Socket, gone: () => void) {
    this.#ends = [near, far];
    for (const socket of this.#ends) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#over = true;
        if (!this.#cut) this.destroy();
        if (near.destroyed && far.destroyed) gone();
      });
    }
  }

  cut(): void {
    this.#cut = true;
    const [near, far] = this.#ends;
    near.unpipe(far).pause();
    far.unpipe(near).pause();
  }

  heal(): void {
    this.#cut = false;
    const [near, far] = this.#ends;
    if (this.#over) {
      this.destroy();
      return;
    }
    near.pipe(far);
    far.pipe(near);
  }

  destroy(): void {
    for (const socket of this.#ends) socket.destroy();
  }
}
