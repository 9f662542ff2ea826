import { once } from 'node:events';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePorts, Standalone, until } from '../integration/standalone.ts';
import { Bind, bindProgram, freePort } from '../programs/bind.ts';
import { Pebble, pebbleProgram } from '../programs/pebble.ts';
import { available } from '../programs/run.ts';

/**
 * Standalone with a real ACME authority (pebble) that finds our hosts by a real DNS server (BIND 9) and
 * looks at the gateway's own ports, so nothing of a validation is pretended.
 */
const programs = await available('certificates of a real authority at the edge', async () => ({
  pebble: await pebbleProgram(),
  bind: await bindProgram(),
}));

describe.skipIf(!programs)('with a real authority', () => {
  const { pebble: pebbleFile = '', bind: bindFile = '' } = programs ?? {};
  let bind: Bind;
  beforeAll(async () => void (bind = await Bind.start(bindFile)));
  afterAll(() => bind.stop());

  /** A Podgate, and the authority that it is told of. */
  async function site(more: NodeJS.ProcessEnv = {}) {
    const stack = new AsyncDisposableStack();
    const ports = await freePorts();
    const { server } = bind.settings;
    const pebble = await Pebble.start(pebbleFile, {
      ports: { directory: await freePort(), management: await freePort() },
      validated: ports,
      dns: `${server.host}:${server.port}`,
    });
    stack.defer(() => pebble.stop());
    const env = {
      PODGATE_DOMAIN: 'example.test',
      PODGATE_ACME_DIRECTORY: pebble.directoryUrl,
      PODGATE_ACME_CA_FILE: pebble.caFile,
      PODGATE_ACME_EMAIL: 'ops@example.test',
      PODGATE_ACME_PREFLIGHT: `127.0.0.1:${ports.http}`,
      ...more,
    };
    const podgate = await Standalone.start({ ports, env });
    stack.defer(() => podgate.stopAndForget());
    return {
      podgate,
      root: await pebble.rootPem(),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  }
  type Site = Awaited<ReturnType<typeof site>>;

  /** The names in what the edge shows for a host; undefined: the authority is not behind it. */
  async function shown({ podgate, root }: Site, host: string): Promise<string | undefined> {
    const { https: port } = podgate.ports;
    const ca = root;
    const socket = tls.connect({ host: '127.0.0.1', port, servername: host, ca });
    try {
      await once(socket, 'secureConnect');
      return socket.getPeerCertificate().subjectaltname;
    } catch {
      return undefined;
    } finally {
      socket.destroy();
    }
  }

  const inUse = (where: Site, host: string, name = host): Promise<void> =>
    until(
      async () => (await shown(where, host))?.split(', ').includes(`DNS:${name}`) ?? false,
      () => `${host} does not show ${name}\n${where.podgate.output}`,
      60_000,
    );

  test('each pod has its own certificate at the edge soon after it is desired', async () => {
    await using where = await site();
    const { podgate } = where;
    await inUse(where, 'example.test');
    const tookMs: number[] = [];
    for (let number = 1; number <= 10; number += 1) {
      const startMs = performance.now();
      const off = number === 1 ? {} : { status_requested: 'OFF' };
      const pod = { pod_id: `shop${number}`, image: 'podgate/hello', ...off };
      expect((await podgate.call('POST', '/v3/pods', pod)).status).toBeLessThan(300);
      await inUse(where, `shop${number}.pods.example.test`);
      tookMs.push(performance.now() - startMs);
    }
    const [median = 0, slowest = 0] = [5, 9].map((at) => tookMs.toSorted((a, b) => a - b)[at]);
    process.stderr.write(
      `desired to in use: ${Math.round(median)} ms, at most ${Math.round(slowest)} ms\n`,
    );
    // A second of work; the rest is for machines that others use as well.
    expect(median).toBeLessThan(10_000);
    await podgate.state('shop1', 'AVAILABLE');
    const { envelope } = await podgate.call('GET', '/v3/pods/shop1/certificate');
    expect(envelope.result).toMatchObject({ mode: 'per-pod' });
  });

  test('in hybrid mode the wildcard is trusted before a pod has its own, and DNS is as before', async () => {
    const { server, zone, key } = bind.settings;
    await using where = await site({
      PODGATE_DNS_PROVIDER: 'rfc2136',
      PODGATE_DNS_RFC2136_SERVER: `${server.host}:${server.port}`,
      PODGATE_DNS_RFC2136_ZONE: zone,
      PODGATE_DNS_RFC2136_KEY_NAME: key.name,
      PODGATE_DNS_RFC2136_KEY_SECRET: key.secret.toString('base64'),
    });
    await inUse(where, 'unknown.pods.example.test', '*.pods.example.test');
    const pod = { pod_id: 'shop', image: 'podgate/hello', status_requested: 'OFF' };
    expect((await where.podgate.call('POST', '/v3/pods', pod)).status).toBeLessThan(300);
    await inUse(where, 'shop.pods.example.test');
    await until(async () => (await bind.texts('_acme-challenge.pods.example.test')).length === 0);
  });
});
