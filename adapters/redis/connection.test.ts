import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { StoreUnavailable } from '#contracts/store.ts';
import { ManualClock } from '../memory/clock.ts';
import type { Client } from './client.ts';
import { Connection } from './connection.ts';

const callMs = 5_000;

/** A client that only says how its connection is. */
function connected() {
  const client = new EventEmitter();
  const clock = new ManualClock();
  const connection = new Connection(client as unknown as Client, clock, callMs);
  client.emit('ready');
  return { client, clock, connection };
}

test('a call while the connection is away is made as soon as it is back, however many tries failed', async () => {
  const { client, connection } = connected();
  client.emit('close');
  const answer = connection.repeat(async () => 'the answer');
  for (let tries = 0; tries < 3; tries += 1) client.emit('close');
  client.emit('ready');
  expect(await answer).toBe('the answer');
});

test('a call waits for the connection until its time is up', async () => {
  const { client, clock, connection } = connected();
  client.emit('close');
  const answer = connection.once(async () => 'the answer');
  const failure = expect(answer).rejects.toThrow(StoreUnavailable);
  await clock.advance(callMs);
  await failure;
});
