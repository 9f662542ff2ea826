import type net from 'node:net';
import { startOf } from './attack.ts';

/** What the pods of all connections have received since they were last asked. */
export class EchoPod {
  #received = '';

  /** Takes a connection and answers each request on it with its method and target. */
  readonly accept = (socket: net.Socket): void => {
    let waiting = '';
    socket.on('data', (bytes: Buffer) => {
      const text = bytes.toString('latin1');
      this.#received += text;
      waiting += text;
      for (let end = endOf(waiting); end > 0; end = endOf(waiting)) {
        const start = startOf(waiting);
        const body = start.startsWith('HEAD ') ? '' : start;
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${start.length}\r\n\r\n${body}`, 'latin1');
        waiting = waiting.slice(end);
      }
    });
    socket.on('end', () => socket.end());
  };

  get received(): string {
    return this.#received.replaceAll(/X-Request-Id: [\w.-]+\r\n/g, 'X-Request-Id: ID\r\n');
  }

  forget(): void {
    this.#received = '';
  }
}

/** The index behind the first request, or 0 while it is not whole. The head is one that we wrote. */
function endOf(bytes: string): number {
  const body = bytes.indexOf('\r\n\r\n') + 4;
  if (body < 4) return 0;
  const head = bytes.slice(0, body);
  if (head.includes('\r\nTransfer-Encoding: chunked\r\n')) return endOfChunks(bytes, body);
  const end = body + Number(/\r\nContent-Length: (\d+)\r\n/.exec(head)?.[1] ?? 0);
  return end <= bytes.length ? end : 0;
}

function endOfChunks(bytes: string, from: number): number {
  let at = from;
  for (;;) {
    const content = bytes.indexOf('\r\n', at) + 2;
    if (content < 2) return 0;
    const size = Number.parseInt(bytes.slice(at, content), 16);
    if (size === 0) {
      const end = bytes.indexOf('\r\n\r\n', content - 2) + 4;
      return end < 4 ? 0 : end;
    }
    at = content + size + 2;
    if (Number.isNaN(size) || at > bytes.length) return 0;
  }
}
