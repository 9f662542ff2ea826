import { once } from 'node:events';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Standalone, until } from '../../integration/standalone.ts';
import { debian } from '../../programs/debian.ts';
import { available } from '../../programs/run.ts';

const server = await available('Redis', () => debian('/usr/bin/redis-server', 'redis-server'));

describe.skipIf(!server)('Redis behind the gateway, by ioredis over TLS', () => {
  const host = 'cache.pods.localhost';
  const clients: Redis[] = [];
  let podgate: Standalone;
  let password = '';

  beforeAll(async () => {
    podgate = await Standalone.start();
    await podgate.pod({
      pod_id: 'cache',
      image: 'podgate/process',
      command: [String(server), '--bind', '127.0.0.1', '--port', '$(PORT)', '--save', ''],
      arguments: ['--requirepass', '$(PASSWORD)'],
      environment_variables: { PASSWORD: '<<TAPIS_user_password>>' },
      networking: { default: { protocol: 'tcp', port: 6379 } },
    });
    password = await podgate.podPassword('cache');
  });
  afterAll(async () => {
    for (const client of clients) client.disconnect();
    await podgate.stopAndForget();
  });

  /** `rediss://:password@cache.pods.<domain>`, dialled at 127.0.0.1 with the server name set. */
  async function connect(): Promise<Redis> {
    const client = new Redis(`rediss://:${encodeURIComponent(password)}@127.0.0.1`, {
      port: podgate.ports.https,
      tls: { servername: host, ca: podgate.ca },
      retryStrategy: () => null,
    });
    clients.push(client);
    await once(client, 'ready');
    return client;
  }

  test('values are set and read, ten thousand in one pipeline', async () => {
    const redis = await connect();
    const pipeline = redis.pipeline();
    for (let n = 0; n < 10_000; n += 1) pipeline.set(`key ${n}`, `value ${n}`);
    const replies = await pipeline.exec();
    expect(replies?.every(([error, reply]) => !error && reply === 'OK')).toBe(true);
    expect(await redis.get('key 9999')).toBe('value 9999');
    expect(await redis.dbsize()).toBe(10_000);
  });

  test('8 MiB of every byte come back as they were', async () => {
    const redis = await connect();
    const value = Buffer.from(Uint8Array.from({ length: 8 * 1024 * 1024 }, (_, n) => n % 251));
    await redis.set('large', value);
    expect((await redis.getBuffer('large'))?.equals(value)).toBe(true);
  });

  test('messages are pushed to a subscriber', async () => {
    const [subscriber, publisher] = [await connect(), await connect()];
    const messages: string[] = [];
    subscriber.on('message', (_channel, message) => messages.push(message));
    await subscriber.subscribe('news');
    expect(await publisher.publish('news', 'hello')).toBe(1);
    await until(() => messages.length === 1);
    expect(messages).toEqual(['hello']);
  });

  test('a wrong password is refused by Redis itself', async () => {
    password = 'wrong';
    await expect(connect()).rejects.toThrow(/WRONGPASS/);
  });
});
