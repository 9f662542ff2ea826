import type net from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Edge } from '../../edge.ts';
import type { BadAnswer } from './answers.ts';
import { badAnswers } from './answers.ts';
import { request } from './attack.ts';
import { RawClient } from './client.ts';

/**
 * A pod that answers wrongly hurts nobody else: its client gets a page or a cut, no byte that belongs
 * to nobody, and the next request goes to the pod on another connection.
 */

const honest = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhonest';
let edge: Edge;
let connections: number;
let answer: (socket: net.Socket) => void;

beforeAll(async () => {
  edge = await Edge.start();
  await edge.pod((socket) => {
    connections += 1;
    socket.on('data', () => answer(socket));
    socket.on('end', () => socket.end());
  });
});
afterAll(() => edge.close());

const connect = async (): Promise<RawClient> => new RawClient(await edge.secure());

async function run({ sends, ends, client: wanted, cut, method = 'GET' }: BadAnswer) {
  connections = 0;
  answer = (socket) => {
    socket.write(sends, 'latin1');
    if (ends) socket.end();
  };
  const client = await connect();
  client.send(request(`${method} / HTTP/1.1`));
  if (typeof wanted !== 'string') {
    await client.until(() => client.ended || client.answers().length >= wanted.length);
    expect(client.answers()).toEqual(wanted);
  } else if (cut) {
    await client.until(() => client.ended);
    expect(client.received).toBe(wanted);
  } else {
    await client.until(() => client.ended || client.received.length >= wanted.length);
    expect(client.received).toBe(wanted);
  }
  answer = (socket) => socket.write(honest);
  const next = client.ended ? await connect() : client;
  const before = next.received.length;
  next.send(request('GET /next HTTP/1.1'));
  await next.until(() => next.ended || next.received.length >= before + honest.length);
  expect(next.received.slice(before)).toBe(honest);
  expect(connections).toBe(2);
  next.socket.end();
  await next.until(() => next.ended);
  expect(next.received.slice(before)).toBe(honest);
  // No connection is left over for the next case.
  await edge.clock.advance(60_000);
}

const printable = (name: string): string => JSON.stringify(name).slice(1, -1);

test.each(badAnswers.map((bad) => [printable(bad.name), bad] as const))('%s', (_name, bad) =>
  run(bad),
);

test('an answer before the next request', async () => {
  connections = 0;
  let pod: net.Socket | undefined;
  answer = (socket) => {
    pod = socket;
    socket.write(honest);
  };
  const client = await connect();
  client.send(request('GET / HTTP/1.1'));
  await client.until(() => client.received === honest);
  const gone = new Promise((resolve) => pod?.on('close', resolve));
  pod?.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen');
  await gone;
  client.send(request('GET / HTTP/1.1'));
  await client.until(() => client.received.length >= 2 * honest.length);
  expect(client.received).toBe(honest + honest);
  expect(connections).toBe(2);
});
