import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { connect, headers, PermissionViolationError } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { natsProgram } from '../programs/nats.ts';
import { redisProgram } from '../programs/redis.ts';
import { available } from '../programs/run.ts';
import { TestCluster } from './cluster.ts';

/** Each program is a user of NATS with the rights of `deploy/nats/podgate.conf`. */

const found = await available('users of NATS', async () => {
  await redisProgram();
  return natsProgram();
});

const host = 'mine.pods.localhost';
const forged = JSON.stringify({ host, upstream: { host: '192.0.2.1', port: 1 } });

describe.skipIf(!found)('a cluster whose programs are users of NATS', () => {
  let cluster: TestCluster;
  let stolen: NatsConnection;
  let refused: string[];

  beforeAll(async () => {
    cluster = await TestCluster.start();
    await cluster.pod({ pod_id: 'mine', image: 'podgate/hello' });
    stolen = await connect({ ...cluster.natsUser('gateway'), inboxPrefix: '_INBOX.gateway' });
    refused = [];
    void (async () => {
      for await (const status of stolen.status()) {
        if (status.type === 'error' && status.error instanceof PermissionViolationError)
          refused.push(`${status.error.operation} ${status.error.subject}`);
      }
    })();
  });
  afterAll(async () => {
    await stolen?.close();
    await cluster?.stop();
  });

  /** What the server has refused when it has dealt with all of it. */
  async function refusals(act: () => void): Promise<string[]> {
    refused.length = 0;
    act();
    await stolen.flush();
    // The refusal comes before the answer to the ping, and is told in a later turn.
    await new Promise((resolve) => setImmediate(resolve));
    return [...refused];
  }

  const routing = [
    `$KV.podgate_routes.${host}`,
    '$KV.podgate_routes._meta',
    `podgate.routes.changes.${host}`,
    'podgate.routes.beats',
    'podgate.routes.acks.wanted',
    '$JS.API.STREAM.CREATE.KV_podgate_routes',
    '$JS.API.STREAM.UPDATE.KV_podgate_routes',
    '$JS.API.STREAM.DELETE.KV_podgate_routes',
    '$JS.API.STREAM.PURGE.KV_podgate_routes',
    '$JS.API.STREAM.MSG.DELETE.KV_podgate_routes',
    '$JS.API.STREAM.CREATE.other',
    // What the server would keep for whoever asks for it, as often as he asks.
    '$JS.API.CONSUMER.CREATE.KV_podgate_routes',
    '$JS.API.CONSUMER.CREATE.KV_podgate_routes.thief',
    '$JS.API.CONSUMER.CREATE.KV_podgate_routes.thief.$KV.podgate_routes.>',
    '$JS.API.CONSUMER.DURABLE.CREATE.KV_podgate_routes.thief',
    '$JS.API.CONSUMER.DELETE.KV_podgate_routes.thief',
    '$JS.API.STREAM.MSG.GET.KV_podgate_routes',
    '$JS.API.STREAM.INFO.KV_podgate_routes',
    '$JS.API.INFO',
  ];
  test.each(routing)('whoever has the gateway’s password cannot say %s', async (subject) => {
    const told = headers();
    told.set('Nats-Sequence', '1000000');
    const say = () => stolen.publish(subject, forged, { headers: told });
    expect(await refusals(say)).toEqual([`publish ${subject}`]);
  });

  test.each(routing)('nor, asking himself to be answered there, %s', async (subject) => {
    const asked = stolen.subscribe('podgate.cancels.ask');
    stolen.publish('podgate.cancels.ask', '{}', { reply: subject });
    await stolen.flush();
    expect(asked.getReceived()).toBe(1);
    asked.unsubscribe();
    expect(await refusals(() => stolen.publish(subject, forged))).toEqual([`publish ${subject}`]);
  });

  // A wildcard is no subject to answer on, and ends a nats-server 2.9.
  const answered = routing.filter((subject) => !subject.endsWith('>'));
  test.each(answered)('nor, having the server answer there, %s', async (reply) => {
    const controller = await connect({
      ...cluster.natsUser('controller'),
      inboxPrefix: '_INBOX.controller',
    });
    try {
      const { streams } = await jetstreamManager(controller);
      const table = async () => (await streams.info('KV_podgate_routes')).state;
      const before = await table();
      const get = JSON.stringify({ last_by_subj: `$KV.podgate_routes.${host}` });
      for (let many = 0; many < 10; many += 1)
        stolen.publish('$JS.API.DIRECT.GET.KV_podgate_routes', get, { reply });
      await stolen.flush();
      // Asked after that, answered after that.
      await stolen.request('$JS.API.DIRECT.GET.KV_podgate_routes', get);
      expect(await table()).toEqual({ ...before, consumer_count: 0 });
    } finally {
      await controller.close();
    }
    for (const gateway of [1, 2] as const)
      expect((await cluster.request(gateway, 'mine')).status).toBe(200);
  });

  const others = ['_INBOX.api.one', '_INBOX.controller.one', '_INBOX.gateway.one', 'podgate.logs'];
  test.each(others)('nor, without being asked, %s', async (subject) => {
    expect(await refusals(() => stolen.publish(subject, '{}'))).toEqual([`publish ${subject}`]);
  });

  const heard = ['>', '_INBOX.>', '_INBOX.api.>', '_INBOX.controller.>', 'podgate.logs', '$KV.>'];
  test.each(heard)('nor hear %s', async (subject) => {
    expect(await refusals(() => stolen.subscribe(subject))).toEqual([`subscription ${subject}`]);
  });

  test('what a gateway has to say it may', async () => {
    const subjects = ['podgate.routes.acks', 'podgate.traffic.here', 'podgate.cancels.ask'];
    expect(
      await refusals(() => subjects.forEach((subject) => stolen.publish(subject, '{}'))),
    ).toEqual([]);
  });

  test('the cluster does all it has to, and the server refuses none of it', async () => {
    for (const gateway of [1, 2] as const)
      expect((await cluster.request(gateway, 'mine')).status).toBe(200);
    for (const path of ['traffic', 'logs'])
      for (const api of [1, 2] as const)
        expect((await cluster.call(api, ['GET', `/v3/pods/mine/${path}`])).status).toBe(200);
    const leader = await cluster.leader();
    await cluster.supervisor.end(leader, 'SIGKILL');
    cluster.supervisor.start(leader);
    await cluster.leader();
    await cluster.pod({ pod_id: 'other', image: 'podgate/hello' });
    expect((await cluster.call(1, ['DELETE', '/v3/pods/other'])).status).toBe(200);
    await cluster.allReady();
    expect(cluster.lines.filter((line) => /permissions violation/i.test(line))).toEqual([]);
  });
});
