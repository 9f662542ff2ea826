import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { WebSocketServer } from 'ws';

/**
 * Many pods in one process. A TCP pod answers every line, and a WebSocket or HTTP pod every message,
 * with its own name: whoever is misrouted is seen. Started by edits.ts with the names.
 */

export interface Listening {
  readonly ports: Readonly<Record<string, number>>;
}

const [, , ...names] = process.argv;

async function listen(name: string): Promise<[string, number]> {
  const server = name.startsWith('tcp') ? tcpPod(name) : httpPod(name);
  server.listen(0, '127.0.0.1', 1024);
  await once(server, 'listening');
  const address = server.address();
  return [name, typeof address === 'object' ? (address?.port ?? 0) : 0];
}

const tcpPod = (name: string): net.Server =>
  net.createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => socket.write(`${name}\n`));
  });

function httpPod(name: string): http.Server {
  const server = http.createServer((_request, response) => response.end(name));
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  sockets.on('connection', (socket) => {
    socket.on('error', () => undefined);
    socket.on('message', () => socket.send(name));
  });
  return server;
}

const ports = Object.fromEntries(await Promise.all(names.map(listen)));
process.send?.({ ports } satisfies Listening);
process.on('disconnect', () => process.exit(0));
