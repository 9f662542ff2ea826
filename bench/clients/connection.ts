import { once } from 'node:events';
import tls from 'node:tls';
import { podHost } from '../peers/peer.ts';

/** TLS to a pod's host at a port of 127.0.0.1; the key exchange is the one that all servers have. */
export async function connect(
  port: number,
  alpn: readonly string[] = [],
  host = podHost,
): Promise<tls.TLSSocket> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    servername: host,
    rejectUnauthorized: false,
    ecdhCurve: 'X25519',
    ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
  });
  await once(socket, 'secureConnect');
  socket.setNoDelay();
  return socket;
}

/** One request on a kept connection; the whole answer, which is small and comes in one piece. */
export async function ask(socket: tls.TLSSocket, path = '/', host = podHost): Promise<string> {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  let answer = '';
  while (!/\r\n\r\n[^]/.test(answer)) {
    const [bytes]: Buffer[] = await once(socket, 'data');
    answer += String(bytes);
  }
  return answer;
}
