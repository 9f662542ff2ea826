import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { FindOwners } from '#contracts/cancels.ts';
import { systemClock } from '../system/clock.ts';
import { lineOf, Lines, natsProgram, NatsServer } from '../../test/programs/nats.ts';
import { NatsCancelExchange } from './cancel-exchange.ts';

let server: NatsServer;
let lines: Lines;

beforeAll(async () => {
  server = await NatsServer.start(await natsProgram());
  lines = new Lines(server);
});
afterEach(() => lines.hangUp());
afterAll(() => server.stop());

const owner = (port: number) => ({ upstream: { host: '10.0.0.1', port }, near: port === 2 });

/** A gateway with an answer. */
async function gateway(find: FindOwners) {
  const connection = await lines.dial();
  const exchange = new NatsCancelExchange(lineOf(connection), systemClock);
  const end = exchange.serve(find);
  await connection.flush();
  return { exchange, connection, end };
}

test('all other gateways are asked, the one that asks is not', async () => {
  const asked: string[] = [];
  const answering = (port: number) =>
    gateway(async (key, from) => {
      asked.push(`${port} ${key} ${from}`);
      return [owner(port)];
    });
  const [first] = [await answering(1), await answering(2), await answering(3)];
  const owners = await first.exchange.ask('key', '203.0.113.9');
  expect(owners.toSorted((a, b) => a.upstream.port - b.upstream.port)).toEqual([
    owner(2),
    owner(3),
  ]);
  expect(asked.toSorted()).toEqual(['2 key 203.0.113.9', '3 key 203.0.113.9']);
});

test('one that does not answer is left out after half a second, and so is one that fails', async () => {
  const { exchange } = await gateway(async () => []);
  await gateway(() => new Promise(() => undefined));
  await gateway(() => Promise.reject(new Error('a bug')));
  await gateway(async () => [owner(4)]);
  const startMs = performance.now();
  expect(await exchange.ask('key', 'me')).toEqual([owner(4)]);
  expect(performance.now() - startMs).toBeGreaterThan(450);
});

test('a gateway that is alone, or cut off from NATS, knows what it knows', async () => {
  const { exchange, connection } = await gateway(async () => [owner(1)]);
  expect(await exchange.ask('key', 'me')).toEqual([]);
  await connection.close();
  expect(await exchange.ask('key', 'me')).toEqual([]);
});
