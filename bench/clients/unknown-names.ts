import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { flood } from './flood.ts';

/**
 * Asks for names that nobody has, each with the ClientHello of Node and another
 * name; done when the alert `unrecognized_name` (RFC 6066, 3) is there.
 * Arguments: port, seconds. Prints a `Load` as JSON.
 */

const [port = 0, seconds = 0] = process.argv.slice(2).map(Number);
const label = 'x'.repeat(32);
const unrecognizedName = 112;

/** What a client says first to a host of that name. */
async function clientHello(servername: string): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const accepted = once(server, 'connection');
  const at = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const client = tls.connect({ host: '127.0.0.1', port: at, servername, ecdhCurve: 'X25519' });
  client.on('error', () => undefined);
  const [socket]: net.Socket[] = await accepted;
  if (!socket) throw new Error('nobody came');
  const [hello]: Buffer[] = await once(socket, 'data');
  client.destroy();
  socket.destroy();
  server.close();
  return hello ?? Buffer.alloc(0);
}

const hello = await clientHello(`${label}.example.net`);
const nameAt = hello.indexOf(label);

/** Whether the gateway refuses it as it should. */
async function refused(): Promise<boolean> {
  const bytes = Buffer.from(hello);
  bytes.write(randomBytes(label.length / 2).toString('hex'), nameAt, 'latin1');
  const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
  try {
    socket.write(bytes);
    const [alert]: Buffer[] = await once(socket, 'data');
    return alert?.[0] === 21 && alert[6] === unrecognizedName;
  } catch {
    return false;
  } finally {
    // Tens of thousands of closed connections would keep their ports from the next client.
    socket.resetAndDestroy();
  }
}

await flood(refused, seconds);
