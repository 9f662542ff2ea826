import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { Standalone, until } from './standalone.ts';

let podgate: Standalone;
const host = 'hello.pods.localhost';
const MiB = 1024 * 1024;

beforeAll(async () => {
  podgate = await Standalone.start({ env: { PODGATE_GATEWAY_WORKERS: '1' } });
  await podgate.state('hello', 'AVAILABLE');
});
afterAll(() => podgate.stopAndForget());

const target = () => ({
  host: '127.0.0.1',
  port: podgate.ports.https,
  servername: host,
  ca: podgate.ca,
  agent: false as const,
});

test('a WebSocket echoes text and binary through the gateway', async () => {
  const socket = new WebSocket(`wss://127.0.0.1:${podgate.ports.https}/ws`, {
    ...target(),
    headers: { host },
  });
  await once(socket, 'open');
  const binary = randomBytes(100_000);
  socket.send('greetings');
  socket.send(binary);
  const messages: Buffer[] = [];
  socket.on('message', (data: Buffer) => messages.push(data));
  await until(() => messages.length === 2);
  expect(messages[0]?.toString()).toBe('greetings');
  expect(messages[1]?.equals(binary)).toBe(true);
  socket.close(1000, 'done');
  const [code] = (await once(socket, 'close')) as [number];
  expect(code).toBe(1000);
});

test('64 MiB go up in chunks and arrive as they were sent', async () => {
  const hash = createHash('sha256');
  const request = https.request({ ...target(), method: 'PUT', path: '/upload', headers: { host } });
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  for (let sent = 0; sent < 64; sent += 1) {
    const piece = randomBytes(MiB);
    hash.update(piece);
    if (!request.write(piece)) await once(request, 'drain');
  }
  request.end();
  const [response] = await answered;
  let text = '';
  for await (const chunk of response) text += String(chunk);
  expect(JSON.parse(text)).toEqual({ bytes: 64 * MiB, sha256: hash.digest('hex') });
});

/** The bytes that `/download` sends: number i is i modulo 251. */
function patternDigest(length: number): string {
  const hash = createHash('sha256');
  const period = Buffer.from(Uint8Array.from({ length: 251 }, (_, index) => index));
  for (let left = length; left > 0; left -= period.length) hash.update(period.subarray(0, left));
  return hash.digest('hex');
}

test.each(['', '&chunked=1'])('64 MiB come down byte for byte %s', async (framing) => {
  const { status, headers, body } = await podgate.request(
    host,
    `/download?bytes=${64 * MiB}${framing}`,
  );
  expect(status).toBe(200);
  expect(headers['transfer-encoding']).toBe(framing ? 'chunked' : undefined);
  expect(body.length).toBe(64 * MiB);
  expect(createHash('sha256').update(body).digest('hex')).toBe(patternDigest(64 * MiB));
});

/** Resident memory of the one gateway worker, in bytes: found as the child that runs worker/main. */
function workerMemory(): number {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      if (!new RegExp(`^PPid:\\s+${podgate.child.pid}$`, 'm').test(status)) continue;
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('gateway/worker/main')) continue;
      return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024;
    } catch {
      // The process ended between the listing and the reading.
    }
  }
  throw new Error('no gateway worker found');
}

test('a client that never reads 1 GiB costs the worker less than 8 MiB', async () => {
  await podgate.request(host, `/download?bytes=${8 * MiB}`);
  const before = workerMemory();
  const socket = podgate.connect(host);
  await once(socket, 'secureConnect');
  socket.pause();
  socket.write(`GET /download?bytes=${1024 * MiB} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  let peak = before;
  for (let sample = 0; sample < 30; sample += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    peak = Math.max(peak, workerMemory());
  }
  socket.destroy();
  expect(peak - before).toBeLessThan(8 * MiB);
});

test('server-sent events arrive one by one, not in a lump', async () => {
  const request = https.get({ ...target(), path: '/events?count=5', headers: { host } });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  expect(response.headers['content-type']).toMatch(/^text\/event-stream/);
  const arrivals: number[] = [];
  for await (const chunk of response) {
    if (String(chunk).includes('data:')) arrivals.push(performance.now());
  }
  expect(arrivals.length).toBe(5);
  const first = arrivals[0] ?? 0;
  const last = arrivals.at(-1) ?? 0;
  // One every 200 ms: a buffering proxy would deliver all within a few milliseconds.
  expect(last - first).toBeGreaterThan(600);
});
