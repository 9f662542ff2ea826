import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { PodTraffic } from '#contracts/traffic.ts';
import { TrafficUnavailable } from '#contracts/traffic.ts';
import { ManualClock } from '../memory/clock.ts';
import { trafficExchangeConforms } from '../../test/conformance/traffic-exchange.ts';
import { lineOf, Lines, natsProgram, NatsServer } from '../../test/programs/nats.ts';
import { exampleTraffic } from '../../test/traffic-examples.ts';
import { NatsTrafficExchange } from './traffic-exchange.ts';

let server: NatsServer;
let lines: Lines;

beforeAll(async () => {
  server = await NatsServer.start(await natsProgram());
  lines = new Lines(server);
});
afterEach(() => lines.hangUp());
afterAll(() => server.stop());

/** One that has heard of all there are, on a clock that stands. */
async function member() {
  const clock = new ManualClock();
  const connection = await lines.dial();
  const exchange = new NatsTrafficExchange(lineOf(connection), clock);
  await clock.advance(2_000);
  return { clock, connection, exchange };
}

/** Gateways that each count something of their own, and an api that knows them. */
async function gateways(...counted: readonly PodTraffic[]) {
  const api = await member();
  await api.connection.flush();
  const members = [];
  for (const traffic of counted) {
    const { exchange, connection, clock } = await member();
    const end = exchange.serve({ read: async () => traffic });
    await connection.flush();
    members.push({ connection, clock, end });
  }
  await api.connection.flush();
  return { api, members };
}

type Member = Pick<Awaited<ReturnType<typeof member>>, 'connection'>;

/** What `one` has sent reached the others, and what they say to it has come. */
async function roundTrip(one: Member, ...others: readonly Member[]): Promise<void> {
  for (const { connection } of [one, ...others, ...others, one]) {
    await connection.flush();
    // Everybody is in this process: what came with the flush is answered in its turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const traffic = (sinceMs: number, requests: number): PodTraffic => ({
  sinceMs,
  networks: new Map([['default', exampleTraffic({ requests })]]),
});

trafficExchangeConforms('NatsTrafficExchange', async () => {
  await lines.hangUp();
  return (await member()).exchange;
});

test('what several gateways have counted is summed up, network by network', async () => {
  const { api } = await gateways(
    {
      sinceMs: 5,
      networks: new Map([
        ['default', exampleTraffic({ requests: 1, lastActivityMs: 7, latencyCounts: [1] })],
        ['one', exampleTraffic({ open: 4 })],
      ]),
    },
    {
      sinceMs: 3,
      networks: new Map([
        ['default', exampleTraffic({ requests: 2, statuses: [0, 2, 0, 0, 1], bytesIn: 9 })],
        ['other', exampleTraffic({ bytesOut: 8 })],
      ]),
    },
    { sinceMs: 4, networks: new Map([['default', exampleTraffic({ latencyCounts: [1, 5] })]]) },
  );
  expect(await api.exchange.read('k')).toEqual({
    sinceMs: 3,
    networks: new Map([
      [
        'default',
        exampleTraffic({
          requests: 3,
          statuses: [0, 2, 0, 0, 1],
          bytesIn: 9,
          lastActivityMs: 7,
          latencyCounts: [2, 5],
        }),
      ],
      ['one', exampleTraffic({ open: 4 })],
      ['other', exampleTraffic({ bytesOut: 8 })],
    ]),
  });
});

test('a gateway that lives and does not answer is missed, and one that is gone is not', async () => {
  const { api, members } = await gateways(traffic(1, 10), traffic(2, 20));
  const [first, second] = members;
  if (!first || !second) throw new Error('two were started');
  // As one that was killed, or is stopped: nothing comes of it any more.
  second.connection.publish = () => undefined;
  const missed = expect(api.exchange.read('k')).rejects.toThrow(
    new TrafficUnavailable('1 gateways do not answer'),
  );
  await roundTrip(api, first);
  await api.clock.advance(1_000);
  await missed;
  await api.clock.advance(1_000);
  await first.clock.advance(1_000);
  await roundTrip(api, first);
  await api.clock.advance(2_000);
  expect(await api.exchange.read('k')).toEqual(traffic(1, 10));
});

test('a gateway that ends says so and is not waited for', async () => {
  const { api, members } = await gateways(traffic(1, 10), traffic(2, 20));
  members[0]?.end();
  await members[0]?.connection.flush();
  await api.connection.flush();
  expect(await api.exchange.read('k')).toEqual(traffic(2, 20));
});

test('one that has just come waits for gateways it may not have heard of', async () => {
  await gateways(traffic(1, 10), traffic(2, 20));
  const clock = new ManualClock();
  const api = new NatsTrafficExchange(lineOf(await lines.dial()), clock);
  const read = api.read('k');
  await expect.poll(async () => (await clock.advance(100), clock.monotonicMs())).toBe(1_000);
  expect((await read).networks.get('default')?.requests).toBe(30);
});

test('after NATS was away all gateways answer again', async () => {
  const { api, members } = await gateways(traffic(1, 10), traffic(2, 20));
  await server.kill();
  await server.start();
  await expect
    .poll(
      async () => {
        const read = api.exchange.read('k').catch(() => undefined);
        await roundTrip(api, ...members);
        await api.clock.advance(1_000);
        return (await read)?.networks.get('default')?.requests;
      },
      { timeout: 10_000 },
    )
    .toBe(30);
});

test('with the connection closed there is nobody to ask', async () => {
  const { api } = await gateways(traffic(1, 10));
  await api.connection.close();
  await expect(api.exchange.read('k')).rejects.toThrow(TrafficUnavailable);
});
