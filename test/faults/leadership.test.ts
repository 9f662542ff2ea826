import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FencedOff } from '#contracts/store.ts';
import { parseNatsUrl } from '#adapters/nats/address.ts';
import { NatsLink } from '#adapters/nats/link.ts';
import { NatsRouteBus } from '#adapters/nats/route-bus.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { natsProgram } from '../programs/nats.ts';
import { openTestRedis, silent } from '../programs/redis-store.ts';
import { redisProgram } from '../programs/redis.ts';
import { available } from '../programs/run.ts';
import { until } from '../integration/standalone.ts';
import { TestCluster } from './cluster.ts';

const servers = await available('leadership of controllers', async () => {
  await redisProgram();
  return natsProgram();
});

type Controller = 'controller-1' | 'controller-2';
const other = (name: Controller): Controller =>
  name === 'controller-1' ? 'controller-2' : 'controller-1';
const hello = (pod_id: string) => ({ pod_id, image: 'podgate/hello' });
const takeOverMs = 15_000;

describe.skipIf(!servers)('of two controllers one leads', () => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await TestCluster.start();
  });
  afterAll(() => cluster?.stop());

  const once = (podId: string): void => {
    expect(cluster.supervisorsOf(podId)).toHaveLength(1);
  };

  test('a leader that is killed is followed by the other within 15 s, and its pods run on', async () => {
    await cluster.pod(hello('kept'));
    const before = cluster.run('kept');
    const first = await cluster.leader();
    await cluster.supervisor.end(first, 'SIGKILL');
    const killedMs = performance.now();
    expect(await cluster.leader()).toBe(other(first));
    const tookMs = performance.now() - killedMs;
    expect(tookMs).toBeLessThan(takeOverMs);
    await cluster.pod(hello('after'));
    expect(performance.now() - killedMs).toBeLessThan(takeOverMs + 5_000);
    expect(cluster.run('kept')).toEqual(before);
    once('kept');
    cluster.supervisor.start(first);
    await cluster.allReady();
  });

  test('one that is asked to end hands over at once', async () => {
    const first = await cluster.leader();
    const askedMs = performance.now();
    await cluster.supervisor.end(first);
    expect(await cluster.leader()).toBe(other(first));
    expect(performance.now() - askedMs).toBeLessThan(8_000);
    cluster.supervisor.start(first);
    await cluster.allReady();
  });

  test('with no controller alive the API takes what is wanted, and the next one does it', async () => {
    for (const name of ['controller-1', 'controller-2'] as const)
      await cluster.supervisor.end(name, 'SIGKILL');
    const { status } = await cluster.call(2, ['POST', '/v3/pods'], hello('early'));
    expect(status).toBe(200);
    const off = { status_requested: 'OFF' };
    expect((await cluster.call(1, ['PUT', '/v3/pods/after'], off)).status).toBe(200);
    const shown = (await cluster.call(1, ['GET', '/v3/pods/early'])).envelope.result;
    expect(shown.status).toBe('REQUESTED');
    for (const name of ['controller-1', 'controller-2'] as const) cluster.supervisor.start(name);
    await cluster.state('early', 'AVAILABLE');
    await cluster.state('after', 'STOPPED');
    await cluster.allReady();
  });

  test('what is written with the token of a reign that is over is refused, in Redis and in NATS', async () => {
    const redis = await openTestRedis(`redis://127.0.0.1:${cluster.ports.redis}`);
    const { servers: server, user, pass } = cluster.natsUser('controller');
    const settings = {
      address: parseNatsUrl(`nats://${user}:${pass}@${server}`),
      creds: undefined,
      ca: undefined,
      replicas: 1,
      name: 'test',
      inboxPrefix: '_INBOX.controller',
    };
    const link = new NatsLink(settings, { clock: systemClock, log: silent });
    try {
      await cluster.pod(hello('fenced'));
      // Any token from before the newest take-over: they are microseconds of Redis's clock.
      const token = 1;
      const write = redis.store.put('pod-status', { id: 'default/fenced', value: {} }, 'anything', {
        lease: 'controller',
        token,
      });
      await expect(write).rejects.toThrow(FencedOff);
      const routes = new NatsRouteBus(link, { clock: systemClock, random: systemRandom });
      await expect(routes.begin(token, [])).rejects.toThrow(FencedOff);
      expect((await cluster.request(1, 'fenced')).status).toBe(200);
    } finally {
      redis.close();
      await link.close();
    }
  });

  test('a leader that was stopped and wakes changes nothing, whatever it was about to do', async () => {
    const pods = ['one', 'two', 'three', 'four', 'five', 'six'];
    for (const pod of pods) await cluster.pod(hello(pod));
    for (const round of [1, 2]) {
      const old = await cluster.leader();
      // In the middle of its work: half of the pods are told to stop, to be changed, to go.
      const wishes = pods.map((pod, at) =>
        cluster.call(at % 2 === 0 ? 1 : 2, ['GET', `/v3/pods/${pod}/restart`]),
      );
      await Promise.race(wishes);
      cluster.supervisor.signal(old, 'SIGSTOP');
      await Promise.all(wishes);
      await until(
        async () => (await cluster.leader()) === other(old),
        () => `nobody takes over\n${cluster.output}`,
        takeOverMs + 5_000,
      );
      // A restart that nobody has begun leaves a pod AVAILABLE.
      for (const pod of pods)
        await until(
          async () => {
            const { envelope } = await cluster.call(1, ['GET', `/v3/pods/${pod}`]);
            const { status, status_requested: wanted } = envelope.result;
            return status === 'AVAILABLE' && wanted === 'ON';
          },
          () => `${pod} is not restarted\n${cluster.output}`,
          takeOverMs,
        );
      await cluster.call(1, ['PUT', '/v3/pods/one'], { status_requested: 'OFF' });
      await cluster.state('one', 'STOPPED');
      const runs = pods.map((pod) => cluster.run(pod));
      cluster.supervisor.signal(old, 'SIGCONT');
      await cluster.allReady();
      // Whatever it still has to do it would do at once; the other renews and looks meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      expect(await cluster.leader()).toBe(other(old));
      expect(pods.map((pod) => cluster.run(pod))).toEqual(runs);
      for (const pod of pods.slice(1)) once(pod);
      expect(cluster.supervisorsOf('one')).toEqual([]);
      for (const gateway of [1, 2] as const) {
        expect((await cluster.request(gateway, 'two')).status).toBe(200);
        expect((await cluster.request(gateway, 'one')).status).toBe(503);
      }
      if (round === 1) {
        await cluster.call(1, ['PUT', '/v3/pods/one'], { status_requested: 'ON' });
        await cluster.state('one', 'AVAILABLE');
      }
    }
  });
});
