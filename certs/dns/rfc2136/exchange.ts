import { once } from 'node:events';
import net from 'node:net';
import { DnsUnavailable } from '../provider.ts';

export interface DnsServer {
  readonly host: string;
  readonly port: number;
}

/** One message and its answer over TCP (RFC 1035, 4.2.2). Throws `DnsUnavailable`, or what aborts. */
export async function exchange(
  message: Buffer,
  { host, port }: DnsServer,
  signal: AbortSignal,
): Promise<Buffer> {
  const socket = net.connect({ host, port, signal });
  try {
    await once(socket, 'connect');
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    socket.write(Buffer.concat([length, message]));
    let received: Buffer = Buffer.alloc(0);
    for await (const bytes of socket) {
      received = Buffer.concat([received, Buffer.from(bytes)]);
      if (received.length < 2) continue;
      const whole = received.readUInt16BE(0) + 2;
      if (received.length >= whole) return received.subarray(2, whole);
    }
    throw new DnsUnavailable(`${host}:${port} ended the connection without an answer`);
  } catch (cause) {
    if (signal.aborted || cause instanceof DnsUnavailable) throw cause;
    throw new DnsUnavailable(`${host}:${port} cannot be reached: ${String(cause)}`, { cause });
  } finally {
    socket.destroy();
  }
}
