import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Address, Route } from '#contracts/route.ts';
import { Edge } from '../../test/edge.ts';

/** What clients read of pods that cannot be reached or give no sensible answer. */

let edge: Edge;
let child: ChildProcess | undefined;
let waiting: net.Socket[];
beforeEach(async () => {
  edge = await Edge.start();
  waiting = [];
});
afterEach(async () => {
  await edge.close();
  for (const socket of waiting) socket.destroy();
  child?.kill('SIGKILL');
  child = undefined;
});

/** A program that listens and is stuck: its queue is full, so nobody accepts and nobody refuses. */
async function stuck(): Promise<Address> {
  const program = `
    const server = require('node:net').createServer();
    server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
      require('node:fs').writeSync(1, String(server.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'ignore'] });
  const stdout = child.stdout as NonNullable<ChildProcess['stdout']>;
  const [port] = (await once(stdout, 'data')) as [Buffer];
  const address = { host: '127.0.0.1', port: Number(port) };
  for (let filled = 0; filled < 2; filled += 1) {
    const socket = net.connect(address);
    waiting.push(socket);
    await once(socket, 'connect');
  }
  return address;
}

async function nobody(): Promise<Address> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return { host: '127.0.0.1', port };
}

/** The answer to a program's request, with as much of the gateway's time as it needs. */
async function answer(accept = '*/*'): Promise<string> {
  const socket = await edge.secure('a', { ALPNProtocols: ['http/1.1'] });
  socket.write(
    `GET / HTTP/1.1\r\nHost: a.pods.example.test\r\nAccept: ${accept}\r\nConnection: close\r\n\r\n`,
  );
  let received = '';
  socket.on('data', (bytes: Buffer) => (received += bytes.toString()));
  while (!socket.readableEnded) {
    await turn();
    await edge.clock.advance(1);
  }
  return received;
}

const pods: readonly (readonly [string, Partial<Route>])[] = [
  ['HTTP/1.1', {}],
  ['h2c', { policy: { h2c: true } }],
];

describe.each(pods)('a pod that speaks %s', (_name, change) => {
  test('and refuses the connection', async () => {
    edge.route({ ...change, upstream: await nobody() });
    expect(await answer()).toMatch(
      /^HTTP\/1\.1 502 [^]*\r\nRetry-After: 2\r\n[^]*"EDGE_UPSTREAM_REFUSED"/,
    );
  });

  test('and takes no connection in time', async () => {
    edge.route({ ...change, upstream: await stuck() });
    expect(await answer()).toMatch(
      /^HTTP\/1\.1 504 [^]*did not take the connection[^]*"EDGE_UPSTREAM_TIMEOUT"/,
    );
  });

  test('and hangs up', async () => {
    await edge.pod((socket) => socket.destroy(), change);
    expect(await answer()).toMatch(
      /^HTTP\/1\.1 502 [^]*without a whole answer[^]*"EDGE_UPSTREAM_FAILED"/,
    );
  });
});

test('a pod that speaks something else', async () => {
  await edge.pod((socket) => socket.end('SSH-2.0-OpenSSH_9\r\n\r\n'));
  expect(await answer()).toMatch(/^HTTP\/1\.1 502 [^]*is not HTTP[^]*"EDGE_UPSTREAM_FAILED"/);
});

test('a browser at a tcp pod that refuses', async () => {
  edge.route({ protocol: 'tcp', upstream: await nobody() });
  expect(await answer('text/html')).toMatch(/^HTTP\/1\.1 502 [^]*EDGE_UPSTREAM_REFUSED/);
});

test('a browser at a tcp pod that is stuck', async () => {
  edge.route({ protocol: 'tcp', upstream: await stuck() });
  expect(await answer('text/html')).toMatch(/^HTTP\/1\.1 504 [^]*EDGE_UPSTREAM_TIMEOUT/);
});
