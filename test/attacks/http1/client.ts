import type tls from 'node:tls';
import { vi } from 'vitest';

/** A client that writes what it is told, however wrong, and reads strictly. */
export class RawClient {
  readonly socket: tls.TLSSocket;
  ended = false;
  #received = '';

  constructor(socket: tls.TLSSocket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => (this.#received += bytes.toString('latin1')));
    socket.on('end', () => (this.ended = true));
    socket.on('close', () => (this.ended = true));
  }

  get received(): string {
    return this.#received;
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Statuses of the gateway's own answers and bodies of the pod's, as far as they have come. */
  answers(heads: readonly boolean[] = []): (number | string)[] {
    const found: (number | string)[] = [];
    let rest = this.#received;
    while (rest) {
      const match = /^HTTP\/1\.1 (\d{3}) [^\r]*\r\n((?:[^\r]+\r\n)*)\r\n/.exec(rest);
      if (!match) throw new Error(`no answer: ${rest.slice(0, 200)}`);
      const [head, status, fields = ''] = match;
      const bodiless = heads[found.length] === true || Number(status) < 200;
      const length = bodiless ? 0 : Number(/^Content-Length: (\d+)\r$/m.exec(fields)?.[1]);
      const body = rest.slice(head.length, head.length + length);
      if (body.length !== length) break;
      found.push(Number(status) === 200 ? body : Number(status));
      rest = rest.slice(head.length + length);
    }
    return found;
  }

  async until(condition: () => boolean): Promise<void> {
    await vi.waitFor(
      () => {
        if (!condition()) throw new Error(`the client has ${JSON.stringify(this.#received)}`);
      },
      { timeout: 3_000, interval: 1 },
    );
  }
}
