import { once } from 'node:events';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePorts, Standalone, until } from '../integration/standalone.ts';
import { Bind, bindProgram } from '../programs/bind.ts';
import { freePort } from '../programs/ports.ts';
import { Pebble, pebbleProgram } from '../programs/pebble.ts';
import { available } from '../programs/run.ts';

/** A tenant that wants wildcards alone, with a real authority (pebble) that looks into a real DNS (BIND 9). */
const programs = await available('wildcards of a real authority', async () => ({
  pebble: await pebbleProgram(),
  bind: await bindProgram(),
}));

describe.skipIf(!programs)('a tenant in mode wildcard', () => {
  const { pebble: pebbleFile = '', bind: bindFile = '' } = programs ?? {};
  let bind: Bind;
  beforeAll(async () => void (bind = await Bind.start(bindFile)));
  afterAll(() => bind.stop());

  async function site(more: NodeJS.ProcessEnv) {
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
      PODGATE_ACME_PREFLIGHT: `127.0.0.1:${ports.http}`,
      ...more,
    };
    const podgate = await Standalone.start({ ports, env });
    stack.defer(() => podgate.stopAndForget());
    const ca = await pebble.rootPem();
    return { podgate, ca, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }

  test('has its pods under a trusted wildcard and never a certificate of their own', async () => {
    await using where = await site(bind.environment);
    const { podgate, ca } = where;
    const put = await podgate.call('PUT', '/v3/tenants/default', { certificate_mode: 'wildcard' });
    expect(put.envelope.result).toMatchObject({ certificate_mode: 'wildcard' });
    const pod = { pod_id: 'shop', image: 'podgate/hello' };
    expect((await podgate.call('POST', '/v3/pods', pod)).status).toBeLessThan(300);
    await podgate.state('shop', 'AVAILABLE');
    const names = async (): Promise<string | undefined> => {
      const { https: port } = podgate.ports;
      const servername = 'shop.pods.example.test';
      const socket = tls.connect({ host: '127.0.0.1', port, servername, ca });
      try {
        await once(socket, 'secureConnect');
        return socket.getPeerCertificate().subjectaltname;
      } catch {
        return undefined;
      } finally {
        socket.destroy();
      }
    };
    await until(
      async () => (await names())?.includes('DNS:*.pods.example.test') ?? false,
      () => `no trusted wildcard\n${podgate.output}`,
      60_000,
    );
    const { envelope } = await podgate.call('GET', '/v3/pods/shop');
    expect(envelope.result).toMatchObject({
      networking: {
        default: {
          certificate: {
            mode: 'wildcard',
            hosts: expect.arrayContaining(['*.pods.example.test']),
            warning: null,
          },
        },
      },
    });
    expect(await names()).not.toContain('DNS:shop.');
  });

  test('is refused where there is no DNS to change, with the setting that is missing', async () => {
    await using where = await site({});
    const put = await where.podgate.call('PUT', '/v3/tenants/default', {
      certificate_mode: 'wildcard',
    });
    expect(put.status).toBe(400);
    expect(JSON.stringify(put.envelope)).toContain('PODGATE_DNS_PROVIDER');
  });
});
