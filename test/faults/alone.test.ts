import { once } from 'node:events';
import https from 'node:https';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { natsProgram } from '../programs/nats.ts';
import { redisProgram } from '../programs/redis.ts';
import { available } from '../programs/run.ts';
import { until } from '../integration/standalone.ts';
import { TestCluster } from './cluster.ts';
import type { Tunnel } from './load.ts';
import { openTcp, openWebSocket } from './load.ts';

const found = await available('gateways on their own', async () => {
  await redisProgram();
  return natsProgram();
});

const rest = [
  'redis',
  'nats',
  'api-1',
  'api-2',
  'controller-1',
  'controller-2',
  'certs-1',
  'certs-2',
] as const;

const echo = async (some: readonly Tunnel[]): Promise<void> => {
  const before = some.map((tunnel) => tunnel.echoes());
  await until(() => some.every((tunnel, at) => tunnel.echoes() > (before[at] ?? 0) + 5));
  expect(some.map((tunnel) => tunnel.ended())).toEqual(some.map(() => undefined));
};

/** The names of the certificate that a gateway shows for a host. */
async function namesShown(cluster: TestCluster, gateway: 1 | 2, host: string): Promise<unknown> {
  const port = cluster.ports[`https-${gateway}`];
  const socket = tls.connect({ host: '127.0.0.1', port, servername: host, ca: cluster.ca });
  await once(socket, 'secureConnect');
  const { subjectaltname } = socket.getPeerCertificate();
  socket.destroy();
  return subjectaltname;
}

describe.skipIf(!found)('gateways when everything else is killed', () => {
  let cluster: TestCluster;
  const tunnels: Tunnel[] = [];
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });

  beforeAll(async () => {
    cluster = await TestCluster.start();
    await cluster.pod({
      pod_id: 'echo',
      image: 'podgate/hello',
      environment_variables: { HELLO_TCP: 'raw' },
      networking: {
        default: { protocol: 'http', port: 8000 },
        raw: { protocol: 'tcp', port: 9000 },
      },
    });
    await cluster.pod({ pod_id: 'off', image: 'podgate/hello' });
    await cluster.call(1, ['PUT', '/v3/pods/off'], { status_requested: 'OFF' });
    await cluster.state('off', 'STOPPED');
    for (const gateway of [1, 2] as const) {
      tunnels.push(await openWebSocket(cluster, gateway, 'echo'));
      tunnels.push(await openTcp(cluster, gateway, 'echo-raw.pods.localhost'));
    }
    expect((await cluster.request(1, 'echo', { agent })).status).toBe(200);
    // Tables are on disk half a second after they changed.
    await until(() => cluster.tablesOf('gateway-1').includes('off.pods.localhost'));
    await until(() => cluster.tablesOf('gateway-2').includes('off.pods.localhost'));
    await Promise.all(rest.map((name) => cluster.supervisor.end(name, 'SIGKILL')));
  });
  afterAll(async () => {
    for (const tunnel of tunnels) tunnel.close();
    agent.destroy();
    await cluster?.stop();
  });

  test('connections that are open go on: WebSocket, TCP and kept alive', async () => {
    await echo(tunnels);
    const kept = await cluster.request(1, 'echo', { agent });
    expect(kept.status).toBe(200);
  });

  test('new connections are served, with certificates verified, and pages of pods that are off', async () => {
    for (const gateway of [1, 2] as const) {
      expect((await cluster.request(gateway, 'echo')).status).toBe(200);
      expect((await cluster.request(gateway, 'off')).status).toBe(503);
      expect((await cluster.request(gateway, 'nobody')).status).toBe(404);
    }
  });

  test('its readiness names what is away', async () => {
    await until(async () => {
      const { status, parts } = (await cluster.readiness('gateway-1')) ?? { status: 0, parts: [] };
      const troubled = parts.filter(({ ready }) => !ready).map(({ name }) => name);
      // It serves, so a balancer must not take it out.
      return status === 200 && troubled.includes('store') && troubled.includes('bus');
    });
  });

  test('one that is killed and started anew serves from its last tables on disk', async () => {
    await cluster.supervisor.end('gateway-1', 'SIGKILL');
    cluster.supervisor.start('gateway-1');
    const startedMs = performance.now();
    await until(
      async () =>
        (await cluster.request(1, 'echo', { timeoutMs: 1_000 }).catch(() => undefined))?.status ===
        200,
      () => `gateway-1 does not serve\n${cluster.output}`,
      15_000,
    );
    process.stderr.write(
      `a gateway on its own served ${Math.round(performance.now() - startedMs)} ms after its start\n`,
    );
    expect((await cluster.request(1, 'off')).status).toBe(503);
    // Of its own, not the wildcard.
    for (const pod of ['echo', 'off'])
      expect(await namesShown(cluster, 1, `${pod}.pods.localhost`)).toContain(
        `DNS:${pod}.pods.localhost`,
      );
    const again = [
      await openWebSocket(cluster, 1, 'echo'),
      await openTcp(cluster, 1, 'echo-raw.pods.localhost'),
    ];
    tunnels.push(...again);
    await echo(again);
    await echo(tunnels.filter(({ gateway }) => gateway === 2));
  });

  test('when all are back, what is wanted is done again', async () => {
    for (const name of rest) cluster.supervisor.start(name);
    await cluster.allReady(60_000);
    await cluster.call(2, ['PUT', '/v3/pods/off'], { status_requested: 'ON' });
    await cluster.state('off', 'AVAILABLE');
    for (const gateway of [1, 2] as const)
      expect((await cluster.request(gateway, 'off')).status).toBe(200);
    expect(cluster.supervisorsOf('echo')).toHaveLength(1);
  });
});
