import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '#adapters/system/clock.ts';
import { connect } from '../clients/connection.ts';
import { editShown } from './pods.ts';

const pollMs = 1;

/** A pod whose edits come one after the other, and which is asked at the edge until they show. */
export class WatchedPod {
  readonly index: number;
  readonly #host: string;
  readonly #socket: TLSSocket;
  #waiting: { readonly edit: number; readonly seen: () => void }[] = [];
  #asking = false;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(index: number, host: string, socket: TLSSocket) {
    this.index = index;
    this.#host = host;
    this.#socket = socket;
  }

  static async at(port: number, index: number, host: string): Promise<WatchedPod> {
    return new WatchedPod(index, host, await connect(port, [], host));
  }

  /** Makes an edit after those before it; resolves when it shows. */
  async edited(edit: number, write: () => Promise<unknown>): Promise<void> {
    this.#writing = this.#writing.then(write);
    await Promise.all([this.#writing, this.#shows(edit)]);
  }

  /** Resolves when clients are told of this edit, or of a later one. */
  #shows(edit: number): Promise<void> {
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
    const edit = editShown(answer);
    if (edit === undefined) throw new Error(`no answer to a preflight: ${answer}`);
    return edit;
  }
}
