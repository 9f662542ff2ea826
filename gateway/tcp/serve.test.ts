import { once } from 'node:events';
import net from 'node:net';
import { expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { Deadlines } from '../deadlines.ts';
import { limits } from '../limits.ts';
import { serveTcp } from './serve.ts';
import { PostgresSessions } from './sessions.ts';
import { exampleRoute, silentMeters } from '../../test/gateway-examples.ts';

/** Two ends of one connection. */
async function pair(): Promise<{ client: net.Socket; server: net.Socket }> {
  const listener = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  const client = net.connect({ port: await portOf(listener), host: '127.0.0.1' });
  const [server]: net.Socket[] = await once(listener, 'connection');
  listener.close();
  if (!server) throw new Error('no connection');
  client.on('error', () => undefined);
  return { client, server };
}

async function portOf(listener: net.Server): Promise<number> {
  if (!listener.listening) await once(listener, 'listening');
  const address = listener.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

test('a client that goes while its pod is being connected leaves no connection to the pod', async () => {
  const deadlines = new Deadlines(new ManualClock());
  const cancels = { sessions: new PostgresSessions() };
  const pod = net.createServer().listen(0, '127.0.0.1');
  const address = { host: '127.0.0.1', port: await portOf(pod) };
  const route = exampleRoute({ protocol: 'tcp', upstream: address });
  const { client, server } = await pair();
  const connected = once(pod, 'connection');
  serveTcp({ socket: server, address: '' }, route, {
    deadlines,
    limits,
    cancels,
    meters: silentMeters(new ManualClock()),
  });
  server.destroy();
  const [upstream]: net.Socket[] = await connected;
  upstream?.resume().on('error', () => undefined);
  const ended = new Promise((resolve) => upstream?.once('end', () => resolve('ended')));
  expect(await ended).toBe('ended');
  client.destroy();
  pod.close();
});
