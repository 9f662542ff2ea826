import http from 'node:http';
import http2 from 'node:http2';
import type tls from 'node:tls';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { limits } from '../../gateway/limits.ts';
import { Edge } from '../edge.ts';
import type { Frame } from './http2-frames.ts';
import { fields, flags, frame, framesOf, preface, types, uint32 } from './http2-frames.ts';

/** What HTTP/2 lets a client do at little cost to itself: each must end, and nobody else notice. */

const { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL } = http2.constants;

let edge: Edge;
let requests: number;

beforeEach(async () => {
  edge = await Edge.start();
  requests = 0;
  const pod = http.createServer((request, response) => {
    requests += 1;
    if (request.url === '/hang') return;
    response.end(request.url === '/large' ? Buffer.alloc(100_000) : 'ok');
  });
  await edge.serve(pod);
});
afterEach(() => edge.close());

/** A client of single frames that has shaken hands. */
class Attacker {
  readonly frames: Frame[] = [];
  closed = false;
  readonly #socket: tls.TLSSocket;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(socket: tls.TLSSocket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => {
      const { frames, rest } = framesOf(Buffer.concat([this.#bytes, bytes]));
      this.frames.push(...frames);
      this.#bytes = rest;
    });
    socket.on('end', () => socket.end());
    socket.on('close', () => (this.closed = true));
    socket.write(Buffer.concat([preface, frame(types.settings, {})]));
  }

  /** False when the connection takes no more. */
  async send(...parts: Buffer[]): Promise<boolean> {
    if (this.closed || this.#socket.writableEnded) return false;
    if (!this.#socket.write(Buffer.concat(parts))) {
      await Promise.race([event(this.#socket, 'drain'), event(this.#socket, 'close')]);
    }
    await event(null, 'turn');
    return !this.closed;
  }

  /** Sends until the gateway has enough; the count of parts it took. */
  async flood(part: (index: number) => Buffer, most: number): Promise<number> {
    for (let index = 0; index < most; index += 1) {
      if (!(await this.send(part(index)))) return index;
    }
    await this.end(2_000);
    return most;
  }

  /** Whether the gateway closed within the time. */
  async end(withinMs: number): Promise<boolean> {
    for (let waited = 0; waited < withinMs && !this.closed; waited += 20) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return this.closed;
  }

  /** Everything sent so far was read: a PING behind it is answered, or the connection is over. */
  async processed(): Promise<void> {
    await this.send(frame(types.ping, {}, Buffer.from('the last')));
    const answered = (): boolean =>
      this.frames.some(({ type, flag }) => type === types.ping && flag === flags.ack);
    await vi.waitFor(() => expect(this.closed || answered()).toBe(true), 5_000);
  }

  get goaway(): number | undefined {
    return this.frames.find(({ type }) => type === types.goaway)?.payload.readUInt32BE(4);
  }
}

async function event(of: tls.TLSSocket | null, name: string): Promise<void> {
  await new Promise<void>((resolve) => {
    if (of) of.once(name, () => resolve());
    else setImmediate(resolve);
  });
}

const attack = async (): Promise<Attacker> =>
  new Attacker(await edge.secure('a', { ALPNProtocols: ['h2'] }));

const request = (path = '/', method = 'GET'): Buffer =>
  fields([
    [':method', method],
    [':scheme', 'https'],
    [':authority', 'a.pods.example.test'],
    [':path', path],
  ]);

const opened = (index: number, path = '/hang'): Buffer =>
  frame(
    types.headers,
    { flag: flags.endHeaders | flags.endStream, stream: 2 * index + 1 },
    request(path),
  );

/** Somebody else is served as ever. */
async function bystander(): Promise<number> {
  const socket = await edge.secure('a', { ALPNProtocols: ['h2'] });
  const client = http2.connect('https://a.pods.example.test', { createConnection: () => socket });
  const stream = client.request({ ':path': '/' });
  const status = await new Promise<number>((resolve) => {
    stream.once('response', (headers) => resolve(headers[':status'] ?? 0));
  });
  stream.resume();
  client.destroy();
  return status;
}

const reset = (index: number): Buffer =>
  frame(types.rstStream, { stream: 2 * index + 1 }, uint32(NGHTTP2_CANCEL));

/** A window update of zero is an error of the stream, which is answered with a reset. */
const provoke = (index: number): Buffer =>
  frame(types.windowUpdate, { stream: 2 * index + 1 }, uint32(0));

describe('floods', () => {
  test('rapid reset (CVE-2023-44487)', async () => {
    const attacker = await attack();
    const took = await attacker.flood(
      (index) => Buffer.concat([opened(index), reset(index)]),
      20_000,
    );
    expect(took).toBeLessThan(5_000);
    expect(attacker.goaway).not.toBeUndefined();
    expect(requests).toBeLessThan(2_000);
    expect(await bystander()).toBe(200);
  });

  test('resets provoked from us (CVE-2025-8671, MadeYouReset)', async () => {
    const attacker = await attack();
    const took = await attacker.flood(
      (index) => Buffer.concat([opened(index), provoke(index)]),
      20_000,
    );
    expect(took).toBeLessThan(5_000);
    expect(requests).toBeLessThan(2_000);
    expect(await bystander()).toBe(200);
  });

  test('SETTINGS (CVE-2019-9515)', async () => {
    const attacker = await attack();
    const took = await attacker.flood(() => frame(types.settings, {}), 20_000);
    expect(took).toBeLessThan(2_000);
    expect(await bystander()).toBe(200);
  });

  test('PING (CVE-2019-9512)', async () => {
    const attacker = await attack();
    const took = await attacker.flood(() => frame(types.ping, {}, Buffer.alloc(8)), 20_000);
    expect(took).toBeLessThan(2_000);
    expect(await bystander()).toBe(200);
  });

  test('CONTINUATION without end (CVE-2024-27983)', async () => {
    const attacker = await attack();
    await attacker.send(frame(types.headers, { stream: 1 }, request()));
    const took = await attacker.flood(
      (index) => frame(types.continuation, { stream: 1 }, fields([[`x-${index}`, 'y']])),
      20_000,
    );
    expect(took).toBeLessThan(2_000);
    expect(requests).toBe(0);
    expect(await bystander()).toBe(200);
  });

  test('empty DATA (CVE-2019-9518)', async () => {
    const attacker = await attack();
    const head = frame(types.headers, { flag: flags.endHeaders, stream: 1 }, request('/hang'));
    await attacker.send(head);
    const took = await attacker.flood(() => frame(types.data, { stream: 1 }), 50_000);
    expect(took).toBeLessThan(20_000);
    expect(await bystander()).toBe(200);
  });

  test('WINDOW_UPDATE of the connection costs no answer and hurts nobody', async () => {
    const attacker = await attack();
    const update = frame(types.windowUpdate, {}, uint32(1));
    const updates = Buffer.concat(Array.from({ length: 100 }, () => update));
    for (let sent = 0; sent < 500 && (await attacker.send(updates)); sent += 1) {
      if (sent === 100) expect(await bystander()).toBe(200);
    }
    expect(await bystander()).toBe(200);
  });

  test('PRIORITY (CVE-2019-9513)', async () => {
    const attacker = await attack();
    const took = await attacker.flood(
      (index) => frame(types.priority, { stream: 2 * index + 1 }, Buffer.alloc(5)),
      50_000,
    );
    expect(took).toBeLessThan(20_000);
    expect(await bystander()).toBe(200);
  });

  test('streams beyond the limit are refused, not queued', async () => {
    const attacker = await attack();
    const count = limits.h2StreamsMax * 3;
    await attacker.send(...Array.from({ length: count }, (_, index) => opened(index)));
    for (let waited = 0; waited < 200 && requests < limits.h2StreamsMax; waited += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await attacker.processed();
    expect(requests).toBe(limits.h2StreamsMax);
    const refused = attacker.frames.filter(({ type }) => type === types.rstStream);
    expect(refused.length).toBeGreaterThanOrEqual(count - limits.h2StreamsMax);
    expect(await bystander()).toBe(200);
  });

  test('a header list beyond all bounds', async () => {
    const attacker = await attack();
    const many = fields(Array.from({ length: 400 }, (_, index) => [`x-${index}`, 'y'.repeat(100)]));
    const block = Buffer.concat([request(), many]);
    const parts: Buffer[] = [];
    for (let at = 0; at < block.length; at += 16_000) {
      const last = at + 16_000 >= block.length;
      const type = at === 0 ? types.headers : types.continuation;
      const flag = (last ? flags.endHeaders : 0) | (at === 0 ? flags.endStream : 0);
      parts.push(frame(type, { flag, stream: 1 }, block.subarray(at, at + 16_000)));
    }
    await attacker.send(...parts);
    await attacker.processed();
    expect(requests).toBe(0);
    expect(await bystander()).toBe(200);
  });
});

describe('clients that are slow', () => {
  test.each<[string, Buffer]>([
    ['a preface that never ends', preface.subarray(0, 10)],
    ['a preface and nothing more', Buffer.concat([preface, frame(types.settings, {})])],
    [
      'a head that never ends',
      Buffer.concat([
        preface,
        frame(types.settings, {}),
        frame(types.headers, { stream: 1 }, request()),
      ]),
    ],
  ])('%s', async (_name, bytes) => {
    const socket = await edge.secure('a', { ALPNProtocols: ['h2'] });
    socket.on('end', () => socket.end());
    socket.resume();
    socket.write(bytes);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    for (let waited = 0; waited < limits.headMs + 3 * limits.drainMs; waited += 500) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      await edge.clock.advance(500);
    }
    await closed;
  });

  test('a window that opens by a byte now and then ends with its stream', async () => {
    const attacker = await attack();
    const oneByte = Buffer.from('000400000001', 'hex');
    await attacker.send(frame(types.settings, {}, oneByte), opened(0, '/large'));
    for (let waited = 0; waited < limits.bodyIdleMs * 2; waited += 1_000) {
      await attacker.send(frame(types.windowUpdate, { stream: 1 }, uint32(1)));
      await edge.clock.advance(1_000);
    }
    await vi.waitFor(() => {
      expect(attacker.frames.some(({ type }) => type === types.rstStream)).toBe(true);
    });
  });

  test('who asks and asks, and never reads, is not listened to', async () => {
    const socket = await edge.secure('a', { ALPNProtocols: ['h2'] });
    socket.pause();
    socket.write(Buffer.concat([preface, frame(types.settings, {})]));
    // A head counts for no window, so nothing but the connection itself stops the answers.
    let asked = 0;
    const flag = flags.endHeaders | flags.endStream;
    const head = request('/', 'HEAD').toString('latin1').replace('a.pods', 'b.pods');
    const batch = (): Buffer => {
      const parts = Array.from({ length: 50 }, () =>
        frame(types.headers, { flag, stream: 2 * asked++ + 1 }, Buffer.from(head, 'latin1')),
      );
      return Buffer.concat(parts);
    };
    const most = 100_000;
    for (let batches = 0; batches * 50 < most && socket.writableLength < 1 << 20; batches += 1) {
      socket.write(batch());
      await event(null, 'turn');
    }
    // What was sent and not taken is the proof; what was taken waits in the kernel's buffers, too.
    expect(asked).toBeLessThan(most);
    expect(await bystander()).toBe(200);
    socket.destroy();
  });

  test('a window that never opens (CVE-2019-9511) ends with its stream', async () => {
    const attacker = await attack();
    const zeroWindow = Buffer.from('000400000000', 'hex');
    await attacker.send(frame(types.settings, {}, zeroWindow), opened(0, '/'));
    for (let waited = 0; waited < limits.bodyIdleMs * 2; waited += 1_000) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      await edge.clock.advance(1_000);
    }
    await vi.waitFor(() => {
      expect(attacker.frames.some(({ type }) => type === types.rstStream)).toBe(true);
    });
  });
});

test('an honest client that gives up 500 streams, one by one, lives', async () => {
  const socket = await edge.secure('a', { ALPNProtocols: ['h2'] });
  const client = http2.connect('https://a.pods.example.test', { createConnection: () => socket });
  client.on('error', () => undefined);
  for (let count = 0; count < 500; count += 1) {
    const stream = client.request({ ':path': '/hang' });
    stream.on('error', () => undefined);
    await new Promise((resolve) => setTimeout(resolve, 15));
    stream.close(NGHTTP2_CANCEL);
  }
  const last = client.request({ ':path': '/' });
  const status = await new Promise((resolve) => {
    last.once('response', (headers) => resolve(headers[':status']));
  });
  expect(status).toBe(200);
  expect(client.destroyed).toBe(false);
  last.resume();
  await new Promise((resolve) => last.once('close', resolve));
  expect(last.rstCode).toBe(NGHTTP2_NO_ERROR);
  client.destroy();
}, 30_000);
