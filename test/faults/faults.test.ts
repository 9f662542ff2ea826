import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../integration/standalone.ts';
import { natsProgram } from '../programs/nats.ts';
import { redisProgram } from '../programs/redis.ts';
import { available } from '../programs/run.ts';
import type { ProgramName } from '../../deploy/compose/plan.ts';
import type { Server } from './cluster.ts';
import { programs, servers, TestCluster } from './cluster.ts';
import type { GatewayNumber, Tunnel } from './load.ts';
import { Load, openTcp, openWebSocket } from './load.ts';
import { originOf, Writers } from './writers.ts';

const found = await available('faults of a cluster', async () => {
  await redisProgram();
  return natsProgram();
});

const downMs = 1_500;
const cutMs = 20_000;
const convergeMs = 5_000;
const takeOverMs = 15_000;
const pods = ['one', 'two', 'three', 'four'];

type Name = ProgramName | Server;

const gatewayOf = (name: string): GatewayNumber | undefined =>
  name === 'gateway-1' ? 1 : name === 'gateway-2' ? 2 : undefined;

describe.skipIf(!found)(
  'a cluster of two of each, under load, while one after another fails',
  () => {
    let cluster: TestCluster;
    let load: Load;
    let writers: Writers;
    let tunnels: Tunnel[] = [];
    let runs: ReturnType<TestCluster['run']>[] = [];

    beforeAll(async () => {
      cluster = await TestCluster.start();
      for (const pod_id of pods) await cluster.pod({ pod_id, image: 'podgate/hello' });
      await cluster.pod({
        pod_id: 'echo',
        image: 'podgate/hello',
        environment_variables: { HELLO_TCP: 'raw' },
        networking: {
          default: { protocol: 'http', port: 8000 },
          raw: { protocol: 'tcp', port: 9000 },
        },
      });
      await cluster.pod({ pod_id: 'edited', image: 'podgate/hello' });
      runs = [...pods, 'echo', 'edited'].map((pod) => cluster.run(pod));
      await openTunnels([1, 2]);
      load = new Load(cluster, pods);
      writers = new Writers(cluster, 'edited');
      await until(() => writers.edited.answered > 0);
    });
    afterAll(async () => {
      for (const tunnel of tunnels) tunnel.close();
      await writers?.stop();
      await load?.stop();
      await cluster?.stop();
    });

    async function openTunnels(gateways: readonly GatewayNumber[]): Promise<void> {
      for (const gateway of gateways) {
        tunnels.push(await openWebSocket(cluster, gateway, 'one'));
        tunnels.push(await openTcp(cluster, gateway, 'echo-raw.pods.localhost'));
      }
    }

    /** Which edit both gateways show of those that may be true. */
    async function shownEdit(from: number, to: number): Promise<number | undefined> {
      for (let count = to; count >= from; count -= 1) {
        const headers = { origin: originOf(count) };
        const answers = await Promise.all(
          ([1, 2] as const).map((gateway) =>
            cluster
              .request(gateway, 'edited', { headers, timeoutMs: 2_000 })
              .catch(() => undefined),
          ),
        );
        const shown = answers.map((answer) => answer?.headers['access-control-allow-origin']);
        if (shown.every((origin) => origin === originOf(count))) return count;
      }
      return undefined;
    }

    /** Everybody agrees soon after the fault is over. */
    async function expectConverged(name: string): Promise<number> {
      const healedMs = performance.now();
      const { answered, tried } = writers.pauseEdits();
      try {
        await until(
          async () => (await shownEdit(answered, tried)) !== undefined,
          () => `after ${name} no gateway shows edit ${answered} to ${tried}\n${cluster.output}`,
          convergeMs,
        );
      } finally {
        writers.goOn();
      }
      return performance.now() - healedMs;
    }

    /** No request failed, but those of connections of a gateway that was killed while it was down. */
    function expectNoFailures(killed: readonly GatewayNumber[], sinceMs: number): void {
      const excused = ({ gateway, endedAtMs }: (typeof load.failures)[number]): boolean =>
        killed.includes(gateway) && endedAtMs >= sinceMs;
      const failed = load.failures.splice(0).filter((failure) => !excused(failure));
      expect(failed).toEqual([]);
      for (const tunnel of tunnels) {
        if (killed.includes(tunnel.gateway)) continue;
        const { kind, gateway } = tunnel;
        expect({ kind, gateway, ended: tunnel.ended() }).toEqual({
          kind,
          gateway,
          ended: undefined,
        });
      }
    }

    function expectPodsUntouched(): void {
      expect([...pods, 'echo', 'edited'].map((pod) => cluster.run(pod))).toEqual(runs);
      for (const pod of [...pods, 'echo', 'edited'])
        expect([pod, cluster.supervisorsOf(pod).length]).toEqual([pod, 1]);
    }

    async function expectEchoes(): Promise<void> {
      const before = tunnels.map((tunnel) => tunnel.echoes());
      await until(() => tunnels.every((tunnel, at) => tunnel.echoes() > (before[at] ?? 0)));
    }

    const victims: readonly Name[] = [...servers, ...programs];

    test.each(victims)('%s is killed and comes back', async (name) => {
      const sinceMs = performance.now();
      const gateway = gatewayOf(name);
      await cluster.supervisor.end(name, 'SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, downMs));
      cluster.supervisor.start(name);
      await cluster.leader();
      if (gateway) {
        await cluster.allReady(takeOverMs, [`gateway-${gateway}`]);
        for (const tunnel of tunnels.filter((each) => each.gateway === gateway)) tunnel.close();
        tunnels = tunnels.filter((tunnel) => tunnel.gateway !== gateway);
        await openTunnels([gateway]);
      } else if (servers.some((server) => server === name)) {
        await until(
          async () =>
            (await cluster.readiness('gateway-1'))?.parts.every(({ ready }) => ready) === true,
        );
      }
      const convergedMs = await expectConverged(name);
      await cluster.allReady();
      expectNoFailures(gateway ? [gateway] : [], sinceMs);
      await expectEchoes();
      expectPodsUntouched();
      process.stderr.write(`${name} killed: converged in ${Math.round(convergedMs)} ms\n`);
    });

    test.each(victims)('the network to %s is cut for 20 s', async (name) => {
      const sinceMs = performance.now();
      cluster.cut(name);
      await new Promise((resolve) => setTimeout(resolve, cutMs));
      cluster.heal(name);
      const convergedMs = await expectConverged(name);
      await cluster.allReady();
      expectNoFailures([], sinceMs);
      await expectEchoes();
      expectPodsUntouched();
      process.stderr.write(`${name} cut: converged in ${Math.round(convergedMs)} ms\n`);
    });

    test('every write that was answered is there, and nobody was refused for no reason', async () => {
      await writers.stop();
      await load.stop();
      expect(await writers.lost()).toEqual([]);
      expect(writers.surprises).toEqual([]);
      expect(writers.writes).toBeGreaterThan(200);
      expect(load.answered).toBeGreaterThan(5_000);
      process.stderr.write(
        `${writers.writes} writes answered, ${load.answered} requests, slowest ${Math.round(load.slowestMs)} ms\n`,
      );
    });
  },
);
