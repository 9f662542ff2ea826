import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '#adapters/system/clock.ts';
import { BusUnavailable } from '#contracts/route.ts';
import { Lines, lineOf, NatsServer, natsProgram } from '../../test/programs/nats.ts';
import type { BucketChange } from './bucket-reading.ts';
import { changeOf, keysPrefix, newestOf, readBucket, streamName } from './bucket-reading.ts';

let server: NatsServer;
let lines: Lines;
let connection: NatsConnection;

beforeAll(async () => {
  server = await NatsServer.start(await natsProgram());
  lines = new Lines(server);
}, 300_000);
afterAll(() => server.stop());

beforeEach(async () => {
  connection = await lines.dial();
});
afterEach(async () => {
  await (await new Kvm(connection).create('podgate_routes')).destroy();
  await lines.hangUp();
});

const terms = { clock: systemClock, from: 1 };

/** Writes the keys in order; each is `value of KEY`, or removed when it begins with `-`. */
async function written(...keys: readonly string[]): Promise<void> {
  const kv = await new Kvm(connection).create('podgate_routes', { history: 1 });
  const write = (key: string) =>
    key.startsWith('-') ? kv.delete(key.slice(1)) : kv.put(key, `value of ${key}`);
  for (let at = 0; at < keys.length; at += 256)
    await Promise.all(keys.slice(at, at + 256).map(write));
}

const read = async (whole: number, from = 1) => {
  const changes = await readBucket(lineOf(connection), { ...terms, whole, from });
  return changes.map(({ key, revision, value }) => [
    revision,
    key,
    value && Buffer.from(value).toString(),
  ]);
};

test('without a bucket nobody knows of a newest message, in an empty one it is 0', async () => {
  expect(await newestOf(lineOf(connection))).toBeUndefined();
  await written();
  expect(await newestOf(lineOf(connection))).toBe(0);
  expect(await read(0)).toEqual([]);
});

test('the newest of each key is told in order, removals as such, and what was before is not', async () => {
  await written('a', 'b', 'a', 'c', '-b', 'd');
  expect(await newestOf(lineOf(connection))).toBe(6);
  const d = [6, 'd', 'value of d'];
  expect(await read(6)).toEqual([
    [3, 'a', 'value of a'],
    [4, 'c', 'value of c'],
    [5, 'b', undefined],
    d,
  ]);
  expect(await read(6, 6)).toEqual([d]);
  expect(await read(6, 7)).toEqual([]);
});

test('thousands are told, however wide the gaps between them, with two gets for each at most', async () => {
  const once = Array.from({ length: 1_000 }, (_, index) => `once-${index}`);
  const often = Array.from({ length: 4_000 }, (_, index) => `often-${index % 500}`);
  await written(...once.slice(0, 500), ...often, ...once.slice(500));
  let gets = 0;
  const counted = await lines.dial();
  counted.subscribe(`$JS.API.DIRECT.GET.${streamName}`, { callback: () => void (gets += 1) });
  await counted.flush();
  const found = await read(5_000);
  expect(found.map(([revision]) => revision)).toEqual([
    ...Array.from({ length: 500 }, (_, index) => 1 + index),
    ...Array.from({ length: 500 }, (_, index) => 4_001 + index),
    ...Array.from({ length: 500 }, (_, index) => 4_501 + index),
  ]);
  await counted.flush();
  expect(gets).toBeLessThanOrEqual(2 * found.length + 1);
});

test('what was asked while the server was away is asked again', async () => {
  await written('a', 'b', 'c');
  await server.kill();
  const found = read(3);
  await server.start();
  expect((await found).map(([, key]) => key)).toEqual(['a', 'b', 'c']);
});

test('a message that a replica does not have yet is asked for again', async () => {
  await written('a');
  const found = read(2);
  await connection.flush();
  await jetstream(connection).publish(`${keysPrefix}b`, 'late');
  expect((await found).map(([, key]) => key)).toEqual(['a', 'b']);
});

test('a reading that is given up is no table', async () => {
  await written('a');
  const signal = AbortSignal.timeout(50);
  const given = readBucket(lineOf(connection), { ...terms, whole: 2, from: 2, signal });
  await expect(given).rejects.toThrow(BusUnavailable);
});

test('what the server is made to say on the subject of another key’s changes is of its own key', async () => {
  await written('evil', 'mine');
  const said: (BucketChange | undefined)[] = [];
  connection.subscribe('podgate.routes.changes.mine', {
    callback: (_error, message) => void said.push(changeOf(message)),
  });
  const get = JSON.stringify({ seq: 1 });
  connection.publish(`$JS.API.DIRECT.GET.${streamName}`, get, {
    reply: 'podgate.routes.changes.mine',
  });
  await vi.waitFor(() => expect(said).toMatchObject([{ key: 'evil', revision: 1 }]));
});
