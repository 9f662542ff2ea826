import { once } from 'node:events';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '#adapters/memory/clock.ts';
import { Deadlines } from './deadlines.ts';
import { limits } from './limits.ts';
import type { ProxyTerms } from './proxied.ts';
import { identify } from './proxied.ts';

const version1 = Buffer.from('PROXY TCP4 192.0.2.9 203.0.113.1 12345 443\r\n');
const version2 = Buffer.from('0d0a0d0a000d0a515549540a2111000cc0000209cb00710130391fbb', 'hex');
const healthCheck = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex');

let clock: ManualClock;
let deadlines: Deadlines;
let server: net.Server;
let terms: ProxyTerms;
const open = new Set<net.Socket>();

beforeEach(async () => {
  clock = new ManualClock();
  deadlines = new Deadlines(clock);
  terms = { trustedProxies: ['127.0.0.0/8'], proxyProtocol: true };
  // What a client sends comes back with the address it is known by.
  server = net.createServer((socket) => {
    open.add(socket);
    identify(socket, terms, { deadlines, limits }, (address) => {
      socket.on('error', () => undefined);
      socket.on('data', (bytes: Buffer) => socket.write(`${address}:${bytes.toString()}`));
    });
  });
  server.listen(0, '::');
  await once(server, 'listening');
});

afterEach(() => {
  deadlines.stop();
  for (const socket of open) socket.destroy();
  open.clear();
  server.close();
});

async function dial(host = '127.0.0.1'): Promise<net.Socket> {
  const { port } = server.address() as net.AddressInfo;
  const socket = net.connect({ host, port, noDelay: true });
  open.add(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

async function heard(socket: net.Socket): Promise<string> {
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  return bytes.toString();
}

async function closed(socket: net.Socket): Promise<void> {
  socket.resume();
  if (!socket.closed) await once(socket, 'close');
}

describe.each([
  ['1', version1, '192.0.2.9'],
  ['2', version2, '192.0.2.9'],
  ['2, a health check', healthCheck, '127.0.0.1'],
])('a header of version %s', (_name, header, address) => {
  test('tells whose connection it is; the rest is the client’s', async () => {
    const socket = await dial();
    socket.write(Buffer.concat([header, Buffer.from('hello')]));
    expect(await heard(socket)).toBe(`${address}:hello`);
    socket.write('more');
    expect(await heard(socket)).toBe(`${address}:more`);
  });

  test('may come in any two pieces, and byte by byte', async () => {
    const all = Buffer.concat([header, Buffer.from('x')]);
    for (let at = 1; at < header.length; at += 1) {
      const socket = await dial();
      socket.write(all.subarray(0, at));
      setImmediate(() => socket.write(all.subarray(at)));
      expect(await heard(socket)).toBe(`${address}:x`);
    }
    const slow = await dial();
    for (const byte of all) slow.write(Buffer.of(byte));
    expect(await heard(slow)).toBe(`${address}:x`);
  });

  test('has its time, whatever trickles in', async () => {
    const socket = await dial();
    socket.write(header.subarray(0, 5));
    const over = closed(socket);
    // A connection made later is served later: then the first piece was read.
    const later = await dial();
    later.write(Buffer.concat([header, Buffer.from('x')]));
    await heard(later);
    await clock.advance(limits.proxyHeaderMs - 1_000);
    socket.write(header.subarray(5, 6));
    await clock.advance(2_000);
    await over;
    later.write('y');
    expect(await heard(later)).toBe(`${address}:y`);
  });
});

test.each(['GET / HTTP/1.1\r\n', '\u0016\u0003\u0001', 'PROXY TCP4 nonsense\r\n'])(
  'a trusted proxy that does not begin with a header is closed: %j',
  async (bytes) => {
    const socket = await dial();
    socket.write(bytes);
    await closed(socket);
  },
);

test('one that connects and goes, as health checks do, leaves nothing', async () => {
  const socket = await dial();
  socket.end();
  await closed(socket);
});

test('from others nothing is believed', async () => {
  terms = { trustedProxies: ['127.0.0.1'], proxyProtocol: true };
  const socket = await dial('::1');
  socket.write('PROXY TCP4 192.0.2.9 203.0.113.1 1 2\r\n');
  expect(await heard(socket)).toMatch(/^::1:PROXY TCP4/);
});

test('switched off, nothing is believed of anybody; IPv4 has its own name', async () => {
  terms = { trustedProxies: ['127.0.0.1'], proxyProtocol: false };
  const socket = await dial();
  socket.write('PROXY UNKNOWN\r\n');
  expect(await heard(socket)).toBe('127.0.0.1:PROXY UNKNOWN\r\n');
});
