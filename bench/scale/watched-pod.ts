import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '#adapters/system/clock.ts';
import { connect } from '../clients/connection.ts';

const pollMs = 1;

/** A pod as a client sees it at the edge, which asks until an edit shows. */
export class WatchedPod {
  readonly index: number;
  readonly #host: string;
  readonly #socket: TLSSocket;
  #waiting: { readonly edit: number; readonly seen: () => void }[] = [];
  #asking = false;

  private constructor(index: number, host: string, socket: TLSSocket) {
    this.index = index;
    this.#host = host;
    this.#socket = socket;
  }

  static async at(port: number, index: number, host: string): Promise<WatchedPod> {
    return new WatchedPod(index, host, await connect(port, [], host));
  }

  /** Resolves when clients are told of this edit, or of a later one. */
  shows(edit: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ edit, seen: resolve });
    if (!this.#asking) void this.#askOn();
    return promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #askOn(): Promise<void> {
    this.#asking = true;
    while (this.#waiting.length > 0) {
      const newest = await this.#newest();
      for (const { edit, seen } of this.#waiting) if (edit <= newest) seen();
      this.#waiting = this.#waiting.filter(({ edit }) => edit > newest);
      if (this.#waiting.length > 0) await systemClock.sleep(pollMs);
    }
    this.#asking = false;
  }

  /** A preflight, which the gateway answers by the route it has. */
  async #newest(): Promise<number> {
    this.#socket.write(
      `OPTIONS / HTTP/1.1\r\nHost: ${this.#host}\r\nOrigin: https://bench.test\r\n` +
        'Access-Control-Request-Method: GET\r\n\r\n',
    );
    let answer = '';
    while (!answer.includes('\r\n\r\n')) {
      const [bytes]: Buffer[] = await once(this.#socket, 'data');
      answer += String(bytes);
    }
    const [, seconds] = /^access-control-max-age: (\d+)\r$/im.exec(answer) ?? [];
    if (seconds === undefined) throw new Error(`no answer to a preflight: ${answer}`);
    return Number(seconds);
  }
}
