import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { LogsUnavailable } from '#contracts/logs.ts';
import { TrafficUnavailable } from '#contracts/traffic.ts';
import { systemClock } from '../system/clock.ts';
import { logsOf } from '../../test/log-examples.ts';
import { lineOf, Lines, natsProgram, NatsServer } from '../../test/programs/nats.ts';
import { NatsCancelExchange } from './cancel-exchange.ts';
import type { Line } from './line.ts';
import { NatsLogExchange } from './log-exchange.ts';
import { NatsTrafficExchange } from './traffic-exchange.ts';

let server: NatsServer;
let lines: Lines;

beforeAll(async () => {
  server = await NatsServer.start(await natsProgram());
  lines = new Lines(server);
});
afterEach(() => lines.hangUp());
afterAll(() => server.stop());

/** A program that was started before NATS. */
class LateLine implements Line {
  readonly #made = Promise.withResolvers<NatsConnection>();
  connection: NatsConnection | undefined;

  connected(): Promise<NatsConnection> {
    return this.#made.promise;
  }

  async make(): Promise<void> {
    this.connection = await lines.dial();
    this.#made.resolve(this.connection);
    await this.#made.promise;
    await this.connection.flush();
  }
}

test('before there is a connection asking says so; what is served by then is served with it', async () => {
  const line = new LateLine();
  const logs = new NatsLogExchange(line, systemClock);
  const traffic = new NatsTrafficExchange(line, systemClock);
  const cancels = new NatsCancelExchange(line, systemClock);
  await expect(logs.read('k')).rejects.toThrow(LogsUnavailable);
  await expect(traffic.read('k')).rejects.toThrow(TrafficUnavailable);
  expect(await cancels.ask('key', 'me')).toEqual([]);

  const owner = { upstream: { host: '10.0.0.1', port: 1 }, near: true };
  logs.serve(logsOf(async () => 'log'));
  logs.serve(logsOf(async () => 'ended'))();
  traffic.serve({ read: async () => ({ sinceMs: 7, networks: new Map() }) });
  cancels.serve(async () => [owner]);
  await line.make();
  const other = lineOf(await lines.dial());
  expect(await new NatsLogExchange(other, systemClock).read('k')).toBe('log');
  expect((await new NatsTrafficExchange(other, systemClock).read('k')).sinceMs).toBe(7);
  expect(await new NatsCancelExchange(other, systemClock).ask('key', 'me')).toEqual([owner]);
});

test('what ended before there was a connection never begins', async () => {
  const line = new LateLine();
  new NatsLogExchange(line, systemClock).serve(logsOf(async () => 'log'))();
  await line.make();
  const asking = new NatsLogExchange(lineOf(await lines.dial()), systemClock);
  await expect(asking.read('k')).rejects.toThrow('nobody serves it');
});
