import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { natsProgram, NatsServer } from './nats.ts';

test('a nats-server of a test’s own keeps its streams over a kill, until it is made to forget', async () => {
  const server = await NatsServer.start(await natsProgram());
  const streams = async (add?: string): Promise<readonly string[]> => {
    await using connection = await connect({ servers: server.url });
    const manager = await jetstreamManager(connection);
    if (add) await manager.streams.add({ name: add, subjects: [add] });
    const found = await manager.streams.list().next();
    return found.map(({ config }) => config.name);
  };
  try {
    expect(await streams('kept')).toEqual(['kept']);
    await server.kill();
    await server.start();
    expect(await streams()).toEqual(['kept']);
    await server.kill();
    server.forget();
    await server.start();
    expect(await streams()).toEqual([]);
  } finally {
    await server.stop();
  }
});
