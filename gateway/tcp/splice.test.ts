import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Edge } from '../../test/edge.ts';

let edge: Edge;
beforeEach(async () => {
  edge = await Edge.start();
});
afterEach(() => edge.close());

/** A pod that keeps what it gets until the end, and then says how much that was. */
function keepingPod(): Promise<{ received: () => Buffer }> {
  const parts: Buffer[] = [];
  const pod = edge.pod(
    (socket) => {
      socket.on('data', (bytes: Buffer) => parts.push(bytes));
      socket.on('end', () => socket.end('done'));
    },
    { protocol: 'tcp' },
  );
  return pod.then(() => ({ received: () => Buffer.concat(parts) }));
}

test('what a client sends before its pod is connected, and all behind it, arrives in order', async () => {
  const pod = await keepingPod();
  const socket = await edge.secure();
  const sent = Buffer.alloc(12_000_000);
  for (let at = 0; at < sent.length; at += 4) sent.writeUInt32BE(at, at);
  socket.end(sent);
  let answer = '';
  socket.on('data', (bytes: Buffer) => (answer += String(bytes)));
  await once(socket, 'end');
  expect(answer).toBe('done');
  expect(pod.received().equals(sent)).toBe(true);
});

test('a client that ends at once has its end passed on', async () => {
  const pod = await keepingPod();
  const socket = await edge.secure();
  socket.end();
  let answer = '';
  socket.on('data', (bytes: Buffer) => (answer += String(bytes)));
  await once(socket, 'end');
  expect([answer, pod.received().length]).toEqual(['done', 0]);
});
