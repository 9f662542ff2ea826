import { once } from 'node:events';
import type net from 'node:net';
import tls from 'node:tls';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { limits } from '../../gateway/limits.ts';
import { Edge } from '../edge.ts';

/** A client that does nothing but connect is turned away before TLS; the others do not notice. */

const perBatch = 100;
let edge: Edge;

beforeEach(async () => {
  // The balancer in front says who connects.
  edge = await Edge.start({ trustedProxies: ['127.0.0.1'], proxyProtocol: true });
  await edge.pod((socket) => {
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  });
});
afterEach(() => edge.close());

async function connect(address: string): Promise<net.Socket> {
  const socket = await edge.dial();
  socket.write(`PROXY TCP4 ${address} 203.0.113.1 12345 443\r\n`);
  return socket;
}

/** Opens so many connections and ends them; returns how many of them were reset. */
async function flood(address: string, connections: number): Promise<number> {
  let reset = 0;
  for (let from = 0; from < connections; from += perBatch) {
    const batch = Array.from({ length: perBatch }, async () => {
      const socket = await connect(address);
      socket.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNRESET' || error.code === 'EPIPE') reset += 1;
      });
      // Neither TLS nor Postgres nor HTTP: closed without a reset when it is looked at.
      socket.end('?').resume();
      if (!socket.closed) await once(socket, 'close').catch(() => undefined);
    });
    await Promise.all(batch);
  }
  return reset;
}

/** Whether a request over TLS is answered. */
async function answered(address: string): Promise<boolean> {
  const socket = tls.connect({
    socket: await connect(address),
    servername: 'a.pods.example.test',
    rejectUnauthorized: false,
  });
  let received = '';
  let over = false;
  socket.on('error', () => undefined);
  socket.on('data', (bytes: Buffer) => (received += bytes.toString('latin1')));
  socket.on('close', () => (over = true));
  socket.write('GET / HTTP/1.1\r\nHost: a.pods.example.test\r\n\r\n');
  await vi.waitFor(() => expect(over || received.endsWith('ok')).toBe(true));
  socket.destroy();
  return received.endsWith('ok');
}

test('a flood from one address is reset, and others are served', { timeout: 30_000 }, async () => {
  const flooder = '192.0.2.66';
  expect(await answered(flooder)).toBe(true);
  await flood(flooder, limits.addressBurst);
  expect(await flood(flooder, 500)).toBe(500);
  expect(await answered(flooder)).toBe(false);
  expect(await answered('192.0.2.67')).toBe(true);
  await edge.clock.advance(5_000);
  expect(await answered(flooder)).toBe(true);
});
