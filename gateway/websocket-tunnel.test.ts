import { once } from 'node:events';
import http2 from 'node:http2';
import type net from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { Edge } from '../test/edge.ts';
import { limits } from './limits.ts';
import { acceptFor, closeFrame } from './websocket.ts';

const hello = Buffer.from('810568656c6c6f', 'hex');
const goingAway = closeFrame(1001, 'the gateway restarts, connect again').toString('hex');
const podWent = closeFrame(1012, 'the pod ended the connection').toString('hex');
/** Close frames of a client, masked with 0. */
const clientClose = Buffer.from('88820000000003e9', 'hex');

const upgrade =
  'GET / HTTP/1.1\r\nHost: a.pods.example.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

let edge: Edge;
let pod: net.Socket;
let podHeard: Buffer;
/** What else a test has opened. */
let open: { destroy(): void }[];

beforeEach(async () => {
  edge = await Edge.start();
  open = [];
  await edge.pod((socket) => {
    pod = socket;
    podHeard = Buffer.alloc(0);
    socket.once('data', (head: Buffer) => {
      const key = /sec-websocket-key: *(.*)\r\n/i.exec(head.toString('latin1'))?.[1] ?? '';
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
          `Sec-WebSocket-Accept: ${acceptFor(key)}\r\n\r\n`,
      );
      socket.on('data', (bytes: Buffer) => (podHeard = Buffer.concat([podHeard, bytes])));
    });
  });
});
afterEach(async () => {
  for (const one of open) one.destroy();
  await edge.close();
});

interface Client {
  readonly side: Duplex;
  /** Of the pod's direction, without the handshake, in hex. */
  heard: string;
  readonly ended: Promise<unknown>;
}

const follow = (side: Duplex, heard: string): Client => {
  const ended = Promise.race([once(side, 'end'), once(side, 'close')]);
  // A reset ends it too.
  const client = { side, heard, ended: ended.catch(() => undefined) };
  side.on('error', () => undefined);
  side.on('data', (bytes: Buffer) => (client.heard += bytes.toString('hex')));
  return client;
};

async function overHttp1(): Promise<Client> {
  const socket = await edge.secure();
  socket.write(upgrade);
  let head = '';
  while (!head.includes('\r\n\r\n')) head += String((await once(socket, 'data'))[0]);
  return follow(socket, '');
}

async function overHttp2(): Promise<Client> {
  const socket = await edge.secure('a', { ALPNProtocols: ['h2'] });
  const session = http2.connect('https://a.pods.example.test', { createConnection: () => socket });
  open.push(session);
  session.on('error', () => undefined);
  await once(session, 'remoteSettings');
  const stream = session.request(
    { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', 'sec-websocket-version': '13' },
    { endStream: false },
  );
  await once(stream, 'response');
  return follow(stream, '');
}

async function eventually(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 500; turn += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('waited in vain');
}

describe.each([
  ['HTTP/1.1', overHttp1],
  ['HTTP/2', overHttp2],
])('over %s', (_name, connect) => {
  async function greeted(): Promise<Client> {
    const client = await connect();
    pod.write(hello);
    await eventually(() => client.heard === hello.toString('hex'));
    client.heard = '';
    return client;
  }

  test.each(['end', 'destroy', 'resetAndDestroy'] as const)(
    'a pod that goes without a word (%s) is excused by 1012, then the end',
    async (how) => {
      const client = await greeted();
      pod[how]();
      await client.ended;
      expect(client.heard).toBe(podWent);
    },
  );

  test.each(['end', 'resetAndDestroy'] as const)(
    'a pod that goes within a frame (%s) is not: what follows would be read as its payload',
    async (how) => {
      const client = await greeted();
      pod.write(hello.subarray(0, 4));
      await eventually(() => client.heard.length === 8);
      pod[how]();
      await client.ended;
      expect(client.heard).toBe(hello.subarray(0, 4).toString('hex'));
    },
  );

  test('a pod that closes by itself has the last word', async () => {
    const client = await greeted();
    const own = closeFrame(1000, 'bye');
    pod.end(own);
    await client.ended;
    expect(client.heard).toBe(own.toString('hex'));
  });

  test('at a drain the client gets 1001, the pod its answer, and the pod’s answer nobody', async () => {
    const client = await greeted();
    edge.drain();
    await eventually(() => client.heard === goingAway);
    client.side.write(clientClose);
    await eventually(() => podHeard.equals(clientClose));
    pod.end(closeFrame(1001, ''));
    await client.ended;
    expect(client.heard).toBe(goingAway);
  });

  test('at a drain within a frame its rest comes first, and nothing after the 1001', async () => {
    const client = await greeted();
    pod.write(hello.subarray(0, 3));
    await eventually(() => client.heard.length === 6);
    edge.drain();
    pod.write(Buffer.concat([hello.subarray(3), hello]));
    await eventually(() => client.heard.endsWith(goingAway));
    pod.write(hello);
    client.side.write(clientClose);
    await eventually(() => podHeard.equals(clientClose));
    pod.end();
    await client.ended;
    expect(client.heard).toBe(`${hello.toString('hex').repeat(2)}${goingAway}`);
  });

  test('a client that stays after goodbye is cut', async () => {
    const client = await greeted();
    pod.end();
    await client.ended;
    let over = false;
    client.side.once('close', () => (over = true));
    await edge.clock.advance(limits.closeHandshakeMs - 500);
    expect(over).toBe(false);
    await edge.clock.advance(1_000);
    // Whoever has read the end hears of more only when it writes.
    await eventually(() => {
      if (!over) client.side.write('x');
      return over;
    });
  });

  test('what the client said before it went reaches the pod', async () => {
    const client = await greeted();
    const bytes = Buffer.alloc(1024 * 1024, 1);
    client.side.end(bytes);
    await eventually(() => podHeard.length === bytes.length);
    expect(podHeard.equals(bytes)).toBe(true);
    await eventually(() => pod.readableEnded);
  });

  test('a client that is gone frees its pod', async () => {
    const client = await greeted();
    const ended = Promise.race([once(pod, 'end'), once(pod, 'close')]);
    client.side.destroy();
    await ended;
  });

  test('a client that does not read stops the pod', async () => {
    const client = await greeted();
    client.side.pause();
    let written = 0;
    const frame = Buffer.concat([Buffer.from('827f0000000000010000', 'hex'), Buffer.alloc(65_536)]);
    const pour = (): void => {
      while (!pod.destroyed && pod.write(frame)) written += frame.length;
    };
    pod.on('drain', pour);
    pour();
    let [before, still] = [-1, 0];
    await eventually(() => {
      still = written === before ? still + 1 : 0;
      before = written;
      return still === 40;
    });
    expect(written).toBeLessThan(64 * 1024 * 1024);
    pod.removeListener('drain', pour);
    client.side.resume();
    pod.end();
    await client.ended;
    expect(client.heard.endsWith(podWent)).toBe(true);
  });
});

test('a client whose connection breaks frees its pod', async () => {
  const raw = await edge.dial();
  const client = await edge.secure('a', { socket: raw });
  client.write(upgrade);
  await once(client, 'data');
  const gone = Promise.race([once(pod, 'end'), once(pod, 'close')]);
  raw.resetAndDestroy();
  await gone;
});

test.each([
  ['the pod went', 1012, () => pod.destroy()],
  ['the gateway drains', 1001, () => edge.drain()],
])('a real client is told why: %s is %i', async (_name, code, act) => {
  const socket = await edge.secure();
  const client = new WebSocket('ws://a.pods.example.test/', { createConnection: () => socket });
  open.push({ destroy: () => client.terminate() });
  await once(client, 'open');
  const closed = once(client, 'close');
  act();
  // The pod answers the client's close, as every server does.
  const answer = setInterval(() => {
    if (podHeard.length > 0) pod.end(closeFrame(code, ''));
  }, 5);
  const [heard, reason] = await closed;
  clearInterval(answer);
  expect([heard, String(reason)]).toEqual([code, expect.stringMatching(/gateway|pod/)]);
});
