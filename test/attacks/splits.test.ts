import type net from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Edge } from '../edge.ts';
import type { Step } from './first-bytes.ts';
import { beginnings, digest } from './first-bytes.ts';

/** However the network cuts the first bytes of a connection, they mean the same. */

const everyPositionMax = 600;
const sampledPositions = 40;
const atOnce = 16;

const fixtures = await beginnings();
let edge: Edge;

beforeAll(async () => {
  edge = await Edge.start();
  await edge.pod(() => undefined);
  await edge.pod(() => undefined, { pod: 'db', protocol: 'postgres' });
  await edge.pod(sendDigest, { pod: 'p', protocol: 'tcp', policy: { passthrough: true } });
});
afterAll(() => edge.close());

/** Says what it has got when that is what one of the fixtures wants it to get. */
function sendDigest(socket: net.Socket): void {
  let received = Buffer.alloc(0);
  const wanted = fixtures.flatMap(([, steps]) => steps.map(({ back }) => back));
  socket.on('data', (bytes: Buffer) => {
    received = Buffer.concat([received, bytes]);
    const got = digest(received);
    if (wanted.some((back) => back !== 'flight' && back.equals(got))) socket.write(got);
  });
}

/** Long enough for the other end, which lives in this process, to read what was written. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}

/** What has come back, and a way to wait for more. */
class Listener {
  bytes = Buffer.alloc(0);
  over = false;
  #told = Promise.withResolvers<void>();

  constructor(socket: net.Socket) {
    socket.on('data', (bytes: Buffer) => {
      this.bytes = Buffer.concat([this.bytes, bytes]);
      this.#told.resolve();
    });
    const end = (): void => {
      this.over = true;
      this.#told.resolve();
    };
    socket.on('end', () => socket.end()).on('end', end);
    socket.on('close', end);
  }

  async until(done: () => boolean): Promise<void> {
    while (!this.over && !done()) {
      await this.#told.promise;
      this.#told = Promise.withResolvers();
    }
  }
}

type Cut = (send: Buffer, from: number) => readonly Buffer[];

/** Plays the steps, each sent in the pieces that `cut` makes of it; returns what was wrong. */
async function play(steps: readonly Step[], cut: Cut): Promise<string> {
  const socket = await edge.dial();
  socket.setNoDelay(true);
  const heard = new Listener(socket);
  let from = 0;
  for (const { send, back, ends = false } of steps) {
    heard.bytes = Buffer.alloc(0);
    for (const piece of cut(send, from)) {
      if (!socket.destroyed) socket.write(piece);
      await turn();
    }
    from += send.length;
    const length = back === 'flight' ? 6 : back.length;
    await heard.until(() => !ends && heard.bytes.length >= length);
    const { bytes, over } = heard;
    // A handshake record with a ServerHello in front.
    const right = back === 'flight' ? bytes[0] === 0x16 && bytes[5] === 2 : bytes.equals(back);
    if (!right || over !== ends) return `${over ? 'ended' : 'open'}: ${bytes.toString('latin1')}`;
  }
  socket.destroy();
  return '';
}

const splitAt =
  (position: number): Cut =>
  (send, from) => {
    const at = position - from;
    return at > 0 && at < send.length ? [send.subarray(0, at), send.subarray(at)] : [send];
  };

const byteByByte: Cut = (send) => Array.from(send, (_byte, at) => send.subarray(at, at + 1));

/** Each of the first, then some spread over the rest, and the last. */
function positionsOf(length: number): number[] {
  const every = Array.from({ length: Math.min(length, everyPositionMax) }, (_item, at) => at);
  if (length <= everyPositionMax) return every;
  const step = (length - everyPositionMax) / sampledPositions;
  const sampled = Array.from({ length: sampledPositions }, (_item, at) =>
    Math.floor(everyPositionMax + at * step),
  );
  return [...every, ...sampled, length - 1];
}

test.each(fixtures)('%s is the same split anywhere', { timeout: 60_000 }, async (_name, steps) => {
  const positions = positionsOf(steps.reduce((sum, { send }) => sum + send.length, 0));
  const wrong: string[] = [];
  const playOn = async (): Promise<void> => {
    for (let at = positions.pop(); at !== undefined; at = positions.pop()) {
      const problem = await play(steps, splitAt(at));
      if (problem) wrong.push(`at ${at}: ${problem}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, playOn));
  expect(wrong).toEqual([]);
});

test.each(fixtures)('%s is the same byte by byte', { timeout: 60_000 }, async (_name, steps) => {
  expect(await play(steps, byteByByte)).toBe('');
});
