import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AcmeDoor } from '../acme/door.ts';
import { alive, freePorts, makeDataDir, Standalone, until } from '../integration/standalone.ts';
import { Bind, bindProgram } from '../programs/bind.ts';
import { freePort } from '../programs/ports.ts';
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

const off = (podId: string) => ({
  pod_id: podId,
  image: 'podgate/hello',
  status_requested: 'OFF',
});

describe.skipIf(!programs)('with a real authority', () => {
  const { pebble: pebbleFile = '', bind: bindFile = '' } = programs ?? {};
  let bind: Bind;
  beforeAll(async () => void (bind = await Bind.start(bindFile)));
  afterAll(() => bind.stop());

  /** A Podgate, and the authority that it is told of, which comes by a door. */
  async function site(more: NodeJS.ProcessEnv = {}) {
    const stack = new AsyncDisposableStack();
    const ports = await freePorts();
    const door = await AcmeDoor.open();
    stack.defer(() => door.close());
    door.leadTo(ports.http);
    const { server } = bind.settings;
    const pebble = await Pebble.start(pebbleFile, {
      ports: { directory: await freePort(), management: await freePort() },
      validated: { http: door.port, https: ports.https },
      dns: `${server.host}:${server.port}`,
    });
    stack.defer(() => pebble.stop());
    const env = {
      PODGATE_DOMAIN: 'example.test',
      PODGATE_ACME_DIRECTORY: pebble.directoryUrl,
      PODGATE_ACME_CA_FILE: pebble.caFile,
      PODGATE_ACME_EMAIL: 'ops@example.test',
      PODGATE_ACME_PREFLIGHT: `127.0.0.1:${door.port}`,
      ...more,
    };
    const dataDir = makeDataDir();
    const start = () => Standalone.start({ ports, dataDir, env });
    const podgate = await start();
    stack.defer(() => podgate.stopAndForget());
    return {
      podgate,
      pebble,
      door,
      /** Once more with the same data, after its end. */
      restart: async () => {
        const again = await start();
        stack.defer(async () => void (await again.end()));
      },
      root: await pebble.rootPem(),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  }
  type Site = Awaited<ReturnType<typeof site>>;

  /** The names in what the edge shows for a host; undefined: the authority is not behind it. */
  async function shown(
    { podgate, root }: Pick<Site, 'podgate' | 'root'>,
    host: string,
  ): Promise<string | undefined> {
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
      100_000,
    );

  test('each pod has its own certificate at the edge soon after it is desired', async () => {
    await using where = await site();
    const { podgate } = where;
    await inUse(where, 'example.test');
    const tookMs: number[] = [];
    for (let number = 1; number <= 10; number += 1) {
      const startMs = performance.now();
      const pod = { pod_id: `shop${number}`, image: 'podgate/hello' };
      if (number > 1) Object.assign(pod, { status_requested: 'OFF' });
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

  /** The domain and the demo pod have theirs, so that nothing is under way. */
  async function settled(where: Site): Promise<number> {
    await inUse(where, 'example.test');
    await inUse(where, 'hello.pods.example.test');
    return where.pebble.orders;
  }

  test('workers that are killed when the authority comes to look are followed by others that know the answer', async () => {
    await using where = await site();
    const { podgate, pebble, door } = where;
    const orders = await settled(where);
    const killed = new Set<number>();
    door.onLook = async () => {
      if (killed.size > 0) return;
      for (const pid of workersOf(podgate)) {
        killed.add(pid);
        process.kill(pid, 'SIGKILL');
      }
      await until(() => [...killed].every((pid) => !alive(pid)));
    };
    expect((await podgate.call('POST', '/v3/pods', off('shop'))).status).toBeLessThan(300);
    await inUse(where, 'shop.pods.example.test');
    expect(killed.size).toBe(2);
    expect(pebble.orders).toBe(orders + 1);
  });

  test('killed as a whole before the authority is told to look, it goes on with the same order', async () => {
    await using where = await site();
    const { podgate, pebble, door } = where;
    const orders = await settled(where);
    const dead = Promise.withResolvers<void>();
    door.onPreflight = async () => {
      await podgate.end('SIGKILL');
      dead.resolve();
      throw new Error('nobody is there');
    };
    expect((await podgate.call('POST', '/v3/pods', off('shop'))).status).toBeLessThan(300);
    await dead.promise;
    expect(pebble.looksAt('shop.pods.example.test')).toBe(false);
    door.onPreflight = async () => undefined;
    await where.restart();
    await inUse(where, 'shop.pods.example.test');
    expect(pebble.orders).toBe(orders + 1);
  });

  test('names that nobody knows make no order, however many are asked for', async () => {
    await using where = await site();
    const { podgate, pebble } = where;
    const orders = await settled(where);
    const served = { in: 0, out: 0 };
    for (let round = 0; round < 40; round += 1) {
      const names = Array.from({ length: 25 }, () => randomUUID());
      const found = await Promise.all(
        names.flatMap((name) => [
          handshake(podgate, `${name}.pods.example.test`).then((ok) => (served.in += Number(ok))),
          handshake(podgate, `${name}.example.net`).then((ok) => (served.out += Number(ok))),
        ]),
      );
      expect(found).toHaveLength(50);
    }
    // Below the domain there is a page under our own wildcard; elsewhere an alert.
    expect(served).toEqual({ in: 1000, out: 0 });
    // What they had caused would have come before this one.
    expect((await podgate.call('POST', '/v3/pods', off('shop'))).status).toBeLessThan(300);
    await inUse(where, 'shop.pods.example.test');
    expect(pebble.orders).toBe(orders + 1);
    const { envelope } = await podgate.call('GET', '/v3/pods/shop/certificate');
    expect(envelope.result).toMatchObject({ mode: 'per-pod' });
  });

  test('in hybrid mode the wildcard is trusted before a pod has its own, and DNS is as before', async () => {
    await using where = await site(bind.environment);
    await inUse(where, 'unknown.pods.example.test', '*.pods.example.test');
    const pod = { pod_id: 'shop', image: 'podgate/hello', status_requested: 'OFF' };
    expect((await where.podgate.call('POST', '/v3/pods', pod)).status).toBeLessThan(300);
    await inUse(where, 'shop.pods.example.test');
    await until(async () => (await bind.texts('_acme-challenge.pods.example.test')).length === 0);
  });
});

/** Whether it ends well, whatever certificate is shown. */
async function handshake({ ports }: Standalone, servername: string): Promise<boolean> {
  const to = { host: '127.0.0.1', port: ports.https, rejectUnauthorized: false };
  const socket = tls.connect({ ...to, servername });
  try {
    await once(socket, 'secureConnect');
    return true;
  } catch (error) {
    if (!/unrecognized.name/i.test(String(error))) throw error;
    return false;
  } finally {
    socket.destroy();
  }
}

function workersOf({ child }: Standalone): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const parent = Number(/\) \S (\d+)/.exec(stat)?.[1]);
        if (parent !== child.pid) return false;
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('gateway/worker/main');
      } catch {
        return false;
      }
    })
    .map(Number);
}
