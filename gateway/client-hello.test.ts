import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ClientHello } from './client-hello.ts';
import { ClientHelloReader } from './client-hello.ts';
import { limits } from './limits.ts';

const read = (bytes: Buffer): ClientHello | 'incomplete' | 'refused' =>
  new ClientHelloReader(limits).push(bytes);

/** The first flight of Node's own TLS client. */
async function captureHello(options: tls.ConnectionOptions): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const client = tls.connect({ ...options, host: '127.0.0.1', port: address.port });
  client.on('error', () => undefined);
  const [socket]: net.Socket[] = await once(server, 'connection');
  let bytes = Buffer.alloc(0);
  if (!socket) throw new Error('no connection');
  for await (const more of socket.iterator({ destroyOnReturn: false })) {
    bytes = Buffer.concat([bytes, more]);
    if (read(bytes) !== 'incomplete') break;
  }
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

/** The same handshake message in records of `size` bytes. */
function inRecordsOf(size: number, hello: Buffer): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([0x16, 3, 1, part.length >> 8, part.length & 0xff]), part);
  }
  return Buffer.concat(records);
}

const answer = { serverName: 'a.pods.example.test', alpn: ['h2', 'http/1.1'] };
let hello: Buffer;

beforeAll(async () => {
  hello = await captureHello({ servername: 'A.pods.example.test', ALPNProtocols: answer.alpn });
});

test('name and protocols of a real client are read', () => {
  expect(read(hello)).toEqual(answer);
});

test('what follows the hello does not matter', () => {
  expect(read(Buffer.concat([hello, Buffer.from('early')]))).toEqual(answer);
});

test('cut anywhere, it is incomplete until its last byte', () => {
  for (let length = 0; length < hello.length; length += 1) {
    expect(read(hello.subarray(0, length))).toBe('incomplete');
  }
});

test('in records of any size, it says the same', () => {
  for (const size of [1, 2, 3, 4, 5, 7, 16, 100, 511, hello.length]) {
    const bytes = inRecordsOf(size, hello);
    expect(read(bytes)).toEqual(answer);
    expect(read(bytes.subarray(0, -1))).toBe('incomplete');
  }
});

test('cut into two or more segments anywhere, it says the same, and nothing received is lost', () => {
  for (const bytes of [hello, inRecordsOf(3, hello), inRecordsOf(100, hello)]) {
    for (let cut = 1; cut < bytes.length; cut += 1) {
      const reader = new ClientHelloReader(limits);
      expect(reader.push(bytes.subarray(0, cut))).toBe('incomplete');
      expect(reader.push(bytes.subarray(cut))).toEqual(answer);
      expect(reader.received.equals(bytes)).toBe(true);
    }
    const reader = new ClientHelloReader(limits);
    for (let at = 0; at < bytes.length - 1; at += 1) {
      expect(reader.push(bytes.subarray(at, at + 1))).toBe('incomplete');
    }
    expect(reader.push(bytes.subarray(-1))).toEqual(answer);
  }
});

test('a hello that never ends is refused at its bound, at a cost that grows with its bytes only', () => {
  const message = Buffer.alloc(20_000);
  message.writeUInt32BE(0x01_00_ea_60);
  const slow = inRecordsOf(1, Buffer.concat([Buffer.alloc(5), message]));
  const reader = new ClientHelloReader(limits);
  const before = process.cpuUsage();
  let at = 0;
  for (; reader.push(slow.subarray(at, at + 7)) === 'incomplete'; at += 7);
  // A few milliseconds are usual; parsing anew with each segment takes many seconds.
  expect(process.cpuUsage(before).user).toBeLessThan(2_000_000);
  expect(at).toBeGreaterThan(limits.clientHelloBytesMax - 7);
  expect(at).toBeLessThan(limits.clientHelloBytesMax + 14);
});

test('a client that names nobody has no server name', async () => {
  expect(read(await captureHello({}))).toEqual({
    serverName: undefined,
    alpn: [],
  });
});

test('a changed byte anywhere in it is never read as a longer or shorter name', () => {
  for (let at = 5; at < hello.length; at += 1) {
    const changed = Buffer.from(hello);
    changed[at] = (changed[at] ?? 0) ^ 0xff;
    const parsed = read(changed);
    if (typeof parsed === 'string' || parsed.serverName === undefined) continue;
    expect(parsed.serverName).toHaveLength(answer.serverName.length);
  }
});

describe('what is no ClientHello is refused', () => {
  test.each<[string, Buffer]>([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n')],
    ['SSH', Buffer.from('SSH-2.0-x')],
    ['zeros', Buffer.alloc(64)],
    ['SSL 2', Buffer.from([0x80, 0x2e, 1, 3, 1])],
    ['an alert', Buffer.from([0x15, 3, 1, 0, 2, 2, 40])],
    ['an empty record', Buffer.from([0x16, 3, 1, 0, 0])],
    ['a record above 2^14', Buffer.from([0x16, 3, 1, 0x40, 1])],
    ['another handshake message', Buffer.from([0x16, 3, 1, 0, 4, 2, 0, 0, 0])],
    ['an empty hello', Buffer.from([0x16, 3, 1, 0, 4, 1, 0, 0, 0])],
    ['a hello of 16 MB', Buffer.from([0x16, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff])],
  ])('%s', (_name, bytes) => {
    expect(read(bytes)).toBe('refused');
  });

  test('a first byte is enough to refuse', () => {
    expect(read(Buffer.from('G'))).toBe('refused');
  });

  test.each(['a..b', '-a.test', 'a b.test', 'a/b', 'a\u0000b', '', '*.test', 'a.test.'])(
    'the server name %j',
    (name) => {
      expect(read(helloNaming(name))).toBe('refused');
    },
  );

  test('two server names, and the extension twice', () => {
    const name = Buffer.from('\0\0\u0001a', 'latin1');
    expect(read(helloWith([vector(Buffer.concat([name, name]))]))).toBe('refused');
    expect(read(helloWith([vector(name), vector(name)]))).toBe('refused');
    expect(read(helloWith([vector(name)]))).toEqual({
      serverName: 'a',
      alpn: [],
    });
  });

  test('any length in it that points beyond the end', () => {
    let refused = 0;
    for (let at = 9; at < hello.length; at += 1) {
      const broken = Buffer.from(hello);
      broken[at] = 0xff;
      const parsed = read(broken);
      expect(parsed).not.toBe('incomplete');
      if (parsed === 'refused') refused += 1;
    }
    expect(refused).toBeGreaterThan(10);
  });
});

const vector = (content: Buffer): Buffer => {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(content.length);
  return Buffer.concat([length, content]);
};

const helloNaming = (name: string): Buffer =>
  helloWith([vector(Buffer.concat([Buffer.alloc(1), vector(Buffer.from(name, 'latin1'))]))]);

/** A minimal ClientHello with these bodies of the server_name extension. */
function helloWith(serverNames: readonly Buffer[]): Buffer {
  const extensions = serverNames.map((body) => Buffer.concat([Buffer.alloc(2), vector(body)]));
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32),
    Buffer.from([0, 0, 2, 0x13, 1, 1, 0]),
    vector(Buffer.concat(extensions)),
  ]);
  const message = Buffer.concat([Buffer.from([1, 0, 0, body.length]), body]);
  return Buffer.concat([Buffer.from([0x16, 3, 1, 0, message.length]), message]);
}
