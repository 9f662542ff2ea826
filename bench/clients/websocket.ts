import { once } from 'node:events';
import type tls from 'node:tls';
import { systemClock } from '#adapters/system/clock.ts';
import { frames } from '../load/ping-pong.ts';
import type { Load } from '../load/load.ts';
import { podHost } from '../peers/peer.ts';
import { connect } from './connection.ts';
import { quantile } from '../report/statistics.ts';

/**
 * WebSockets that each send a message, wait for its echo and send the next, for some seconds.
 * Arguments: port, seconds, connections. Prints a `Load` as JSON.
 */

const [port, seconds, connections] = process.argv.slice(2).map(Number);
const request =
  `GET / HTTP/1.1\r\nHost: ${podHost}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

async function open(): Promise<tls.TLSSocket> {
  const socket = await connect(port ?? 0);
  socket.write(request);
  const [head] = await once(socket, 'data');
  if (!/^HTTP\/1\.1 101 [^]*\r\n\r\n$/.test(String(head))) throw new Error(String(head));
  return socket;
}

const waits: number[] = [];
let errors = 0;
let over = false;

const broken = (): void => {
  if (!over) errors += 1;
};

function play(socket: tls.TLSSocket): void {
  let bytes = 0;
  let sentMs = performance.now();
  socket.on('data', (chunk) => {
    bytes += chunk.length;
    if (bytes < frames.plain.length) return;
    bytes -= frames.plain.length;
    if (over) return;
    const nowMs = performance.now();
    waits.push(nowMs - sentMs);
    sentMs = nowMs;
    socket.write(frames.masked);
  });
  socket.on('error', broken);
  socket.on('close', broken);
  socket.write(frames.masked);
}

const sockets = await Promise.all(Array.from({ length: connections ?? 0 }, open));
const startedMs = performance.now();
for (const socket of sockets) play(socket);
await systemClock.sleep((seconds ?? 0) * 1_000);
over = true;
const load: Load = {
  units: waits.length,
  seconds: (performance.now() - startedMs) / 1_000,
  p99Ms: quantile(waits, 0.99),
  errors,
};
console.log(JSON.stringify(load));
process.exit(0);
