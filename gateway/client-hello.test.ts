import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { beforeAll, expect, test } from 'vitest';
import { parseClientHello } from './client-hello.ts';
import { limits } from './limits.ts';

/** What a real client sends first. */
async function capture(options: tls.ConnectionOptions): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const accepted = once(server, 'connection');
  const client = tls.connect({ ...options, host: '127.0.0.1', port });
  client.on('error', () => undefined);
  const [socket] = (await accepted) as [net.Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

let hello: Buffer;
beforeAll(async () => {
  hello = await capture({ servername: 'Pod.Example.test', ALPNProtocols: ['h2', 'http/1.1'] });
});

const parse = (bytes: Buffer) => parseClientHello(bytes, limits);
const wanted = { serverName: 'pod.example.test', alpn: ['h2', 'http/1.1'] };

test('a real hello tells its name in lower case and its protocols', () => {
  expect(parse(hello)).toEqual(wanted);
});

test('at every shorter length it is incomplete, never something else', () => {
  for (let length = 0; length < hello.length; length += 1) {
    expect(parse(hello.subarray(0, length))).toBe('incomplete');
  }
});

test.each([1, 2, 7, 100, 1000])('split over records of %d bytes it says the same', (size) => {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const piece = message.subarray(at, at + size);
    records.push(Buffer.from([0x16, 3, 1, piece.length >> 8, piece.length & 0xff]), piece);
  }
  expect(parse(Buffer.concat(records))).toEqual(wanted);
});

test('a client that names nobody has no server name', async () => {
  expect(parse(await capture({ servername: '' }))).toMatchObject({ serverName: undefined });
});

test.each([
  ['no handshake', Buffer.from('GET / HTTP/1.1\r\n')],
  ['another handshake message', Buffer.from([0x16, 3, 1, 0, 4, 2, 0, 0, 0])],
  ['an empty record', Buffer.from([0x16, 3, 1, 0, 0])],
  ['a record beyond the RFC', Buffer.from([0x16, 3, 1, 0xff, 0xff])],
  ['a message beyond the limit', Buffer.from([0x16, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff])],
])('%s is refused', (_name, bytes) => {
  expect(parse(bytes)).toBe('refused');
});

test('a changed length anywhere in the hello is never read as another name', () => {
  for (let at = 5; at < hello.length; at += 1) {
    const changed = Buffer.from(hello);
    changed[at] = (changed[at] ?? 0) ^ 0xff;
    const parsed = parse(changed);
    if (typeof parsed === 'string' || parsed.serverName === wanted.serverName) continue;
    // A flipped byte of the name itself, or of the extension's type, at most.
    expect(parsed.serverName === undefined || parsed.serverName.length === 16).toBe(true);
  }
});
