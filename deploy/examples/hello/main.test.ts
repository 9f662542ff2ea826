import { createHash, randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';

const [port, rawPort] = [await freePort(), await freePort()];
const origin = `http://127.0.0.1:${port}`;
let hello: ChildProcess;

beforeAll(async () => {
  hello = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    env: { PORT: String(port), HELLO_TCP: 'raw', PORT_RAW: String(rawPort), HELLO_NAME: '<Ada>' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  for await (const chunk of hello.stdout ?? []) {
    output += String(chunk);
    if (output.includes('tcp') && output.includes('http')) break;
  }
}, 20_000);

afterAll(() => {
  hello.kill('SIGKILL');
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

test('the page greets, shows the request, and neither markup nor secrets get through', async () => {
  const headers = { 'x-colour': '<b>red', cookie: 'session=hunter2' };
  const text = await (await fetch(`${origin}/`, { headers })).text();
  expect(text).toContain('Hello from &#60;Ada&#62;');
  expect(text).toContain('&#60;b&#62;red');
  expect(text).not.toContain('<b>red');
  expect(text).not.toContain('hunter2');
});

test('what is not there is 404 and says what is', async () => {
  const response = await fetch(`${origin}/nothing`);
  expect(response.status).toBe(404);
  expect(await response.text()).toContain('GET /healthz');
});

test('an upload is counted and hashed', async () => {
  const body = randomBytes(3_000_000);
  const response = await fetch(`${origin}/upload`, { method: 'PUT', body });
  const sha256 = createHash('sha256').update(body).digest('hex');
  expect(await response.json()).toEqual({ bytes: body.length, sha256 });
});

test.each([
  ['with a length', '', '500001'],
  ['chunked', '&chunked=1', null],
])('a download %s has the bytes of the pattern', async (_name, more, length) => {
  const response = await fetch(`${origin}/download?bytes=500001${more}`);
  expect(response.headers.get('content-length')).toBe(length);
  const bytes = Buffer.from(await response.arrayBuffer());
  expect(bytes.length).toBe(500_001);
  expect(bytes.findIndex((byte, index) => byte !== index % 251)).toBe(-1);
});

test('events come as many as asked for', async () => {
  const text = await (await fetch(`${origin}/events?count=2`)).text();
  expect(text.match(/^data: /gm)).toHaveLength(2);
});

test('WebSocket messages of every size come back as they went', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  await once(socket, 'open');
  for (const size of [0, 5, 125, 126, 65_535, 65_536, 1_000_000]) {
    const message = randomBytes(size);
    socket.send(message);
    const [answer, isBinary]: unknown[] = await once(socket, 'message');
    expect(isBinary).toBe(true);
    expect(message.equals(answer as Buffer)).toBe(true);
  }
  socket.send('frag', { fin: false });
  socket.ping('there?');
  socket.send('ments', { fin: true });
  const [[pong], [text, isBinary]]: [unknown[], unknown[]] = await Promise.all([
    once(socket, 'pong'),
    once(socket, 'message'),
  ]);
  expect([String(pong), String(text), isBinary]).toEqual(['there?', 'fragments', false]);
  socket.close(1000);
  expect(await once(socket, 'close')).toMatchObject([1000, Buffer.alloc(0)]);
}, 20_000);

test('a frame that is not masked ends the connection with code 1002', async () => {
  const socket = connect(port, '127.0.0.1');
  socket.write(
    'GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
      'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  const [head]: unknown[] = await once(socket, 'data');
  expect(String(head)).toContain('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  socket.write(Buffer.from([0x81, 0x01, 0x41]));
  const [close]: unknown[] = await once(socket, 'data');
  expect(close).toEqual(Buffer.from([0x88, 0x02, 0x03, 0xea]));
  socket.destroy();
});

test('the second network echoes lines, and ends when its client has', async () => {
  const socket = connect(rawPort, '127.0.0.1');
  socket.end('one\ntwo\n');
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  expect(answer).toBe('one\ntwo\n');
});

test('SIGTERM ends it within a second, open streams or not', async () => {
  const events = await fetch(`${origin}/events`);
  const began = performance.now();
  hello.kill('SIGTERM');
  const [code]: unknown[] = await once(hello, 'exit');
  expect(code).toBe(0);
  expect(performance.now() - began).toBeLessThan(2_000);
  await events.body?.cancel().catch(() => undefined);
});
