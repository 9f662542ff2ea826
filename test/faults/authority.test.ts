import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AcmeDoor } from '../acme/door.ts';
import { until } from '../integration/standalone.ts';
import { Bind, bindProgram } from '../programs/bind.ts';
import { freePort } from '../programs/ports.ts';
import { natsProgram } from '../programs/nats.ts';
import { Pebble, pebbleProgram } from '../programs/pebble.ts';
import { redisProgram } from '../programs/redis.ts';
import { available } from '../programs/run.ts';
import { TestCluster } from './cluster.ts';

/** A cluster whose certificates come from a real authority, and programs that are killed meanwhile. */

const programs = await available('certificates of a cluster from a real authority', async () => {
  await redisProgram();
  await natsProgram();
  return { pebble: await pebbleProgram(), bind: await bindProgram() };
});

describe.skipIf(!programs)('with a real authority', () => {
  let bind: Bind;
  let pebble: Pebble;
  let door: AcmeDoor;
  let cluster: TestCluster;
  let root = '';

  beforeAll(async () => {
    bind = await Bind.start(programs?.bind ?? '');
    door = await AcmeDoor.open();
    const { server } = bind.settings;
    pebble = await Pebble.start(programs?.pebble ?? '', {
      ports: { directory: await freePort(), management: await freePort() },
      validated: { http: door.port, https: door.port },
      dns: `${server.host}:${server.port}`,
    });
    root = await pebble.rootPem();
    cluster = await TestCluster.start({
      PODGATE_DOMAIN: 'example.test',
      PODGATE_ACME_DIRECTORY: pebble.directoryUrl,
      PODGATE_ACME_CA_FILE: pebble.caFile,
      PODGATE_ACME_PREFLIGHT: `127.0.0.1:${door.port}`,
    });
    door.leadTo(cluster.ports['http-1'], cluster.ports['http-2']);
    await until(
      () => inUse('example.test'),
      () => cluster.output,
      60_000,
    );
  });
  afterAll(async () => {
    await cluster?.stop();
    await door?.close();
    await pebble?.stop();
    await bind?.stop();
  });

  /** Whether the second gateway shows a certificate of the authority for this host alone. */
  async function inUse(host: string): Promise<boolean> {
    const port = cluster.ports['https-2'];
    const socket = tls.connect({ host: '127.0.0.1', port, servername: host, ca: root });
    try {
      await once(socket, 'secureConnect');
      return socket.getPeerCertificate().subjectaltname === `DNS:${host}`;
    } catch {
      return false;
    } finally {
      socket.destroy();
    }
  }

  async function desire(podId: string): Promise<string> {
    const pod = { pod_id: podId, image: 'podgate/hello', status_requested: 'OFF' };
    expect((await cluster.call(1, ['POST', '/v3/pods'], pod)).status).toBeLessThan(300);
    return `${podId}.pods.example.test`;
  }

  test('a gateway that is killed when the authority comes to look leaves the answer to the other', async () => {
    const before = pebble.orders;
    let killed = 0;
    door.onLook = async () => {
      if (killed++ > 0) return;
      await cluster.supervisor.end('gateway-1', 'SIGKILL');
      door.leadTo(cluster.ports['http-2']);
    };
    const host = await desire('looked');
    await until(
      () => inUse(host),
      () => cluster.output,
      60_000,
    );
    expect(killed).toBeGreaterThan(0);
    expect(await accepts(cluster.ports['http-1'])).toBe(false);
    expect(pebble.orders).toBe(before + 1);
    door.onLook = async () => undefined;
    cluster.supervisor.start('gateway-1');
    await cluster.allReady();
  });

  test('two programs share the orders; what one that is killed had begun, the other finishes', async () => {
    const before = pebble.orders;
    const hosts: string[] = [];
    for (let number = 0; number < 40; number += 1) hosts.push(await desire(`many${number}`));
    await until(
      () => pebble.orders > before + 10,
      () => cluster.output,
      60_000,
    );
    await cluster.supervisor.end('certs-1', 'SIGKILL');
    for (const host of hosts)
      await until(
        () => inUse(host),
        () => `${host}\n${cluster.output}`,
        90_000,
      );
    // An order whose address it could not write down any more is made again: those that were under way.
    expect(pebble.orders - before).toBeGreaterThanOrEqual(hosts.length);
    expect(pebble.orders - before).toBeLessThanOrEqual(hosts.length + 16);
    cluster.supervisor.start('certs-1');
    await cluster.allReady();
  });
});

async function accepts(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  const connected = once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.unref();
  return connected.finally(() => socket.destroy());
}
