import { once } from 'node:events';
import tls from 'node:tls';
import { systemClock } from '#adapters/system/clock.ts';
import { PebbleWorld } from '../../test/acme/pebble-world.ts';
import { freePorts, Standalone } from '../../test/integration/standalone.ts';
import { Bind, bindProgram } from '../../test/programs/bind.ts';
import { Pebble, pebbleProgram } from '../../test/programs/pebble.ts';
import { freePort } from '../../test/programs/ports.ts';
import type { Bench } from '../bench.ts';
import type { Row, Table } from '../results.ts';
import type { Question } from './question.ts';

const podsUsual = 100;
const ordersPerRound = 300;
const rounds = 3;
const pollMs = 5;
const waitMs = 120_000;

const row = (subject: string, totals: readonly number[]): Row => ({
  subject,
  samples: totals.map((total) => ({ total })),
});

const ids = (count: number, name: string): string[] =>
  Array.from({ length: count }, (_, at) => `${name}${at}`);

/** A standalone whose authority proves every host by HTTP-01 at the gateway itself. */
async function site(bench: Bench): Promise<{ podgate: Standalone; root: string }> {
  const ports = await freePorts();
  const bind = await Bind.start(await bindProgram());
  bench.atClose(async () => bind.stop());
  const { server } = bind.settings;
  const pebble = await Pebble.start(await pebbleProgram(), {
    ports: { directory: await freePort(), management: await freePort() },
    validated: ports,
    dns: `${server.host}:${server.port}`,
    noncesRefused: 0,
  });
  bench.atClose(async () => pebble.stop());
  const env = {
    PODGATE_DOMAIN: 'example.test',
    PODGATE_ACME_DIRECTORY: pebble.directoryUrl,
    PODGATE_ACME_CA_FILE: pebble.caFile,
    PODGATE_ACME_PREFLIGHT: `127.0.0.1:${ports.http}`,
    PODGATE_API_REQUESTS_PER_MINUTE: '0',
  };
  const podgate = await Standalone.start({ ports, env });
  bench.atClose(async () => podgate.stopAndForget());
  return { podgate, root: await pebble.rootPem() };
}

type Site = Awaited<ReturnType<typeof site>>;

/** Whether a client that trusts the authority alone is let through to a host. */
async function inUse({ podgate, root }: Site, host: string): Promise<boolean> {
  const to = { host: '127.0.0.1', port: podgate.ports.https, servername: host, ca: root };
  const socket = tls.connect(to);
  try {
    await once(socket, 'secureConnect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function untilInUse(where: Site, podId: string): Promise<void> {
  const endMs = performance.now() + waitMs;
  while (!(await inUse(where, `${podId}.pods.example.test`))) {
    if (performance.now() > endMs) throw new Error(`${podId} waits in vain for its certificate`);
    await systemClock.sleep(pollMs);
  }
}

async function desire({ podgate }: Site, podId: string): Promise<void> {
  const pod = { pod_id: podId, image: 'podgate/hello', status_requested: 'OFF' };
  const { status, envelope } = await podgate.call('POST', '/v3/pods', pod);
  if (status >= 300) throw new Error(`create: ${JSON.stringify(envelope)}`);
}

async function waiting(bench: Bench, count: number): Promise<Table> {
  const where = await site(bench);
  await untilInUse(where, 'hello');
  const alone: number[] = [];
  for (const podId of ids(count, 'alone')) {
    const startMs = performance.now();
    await desire(where, podId);
    await untilInUse(where, podId);
    alone.push(performance.now() - startMs);
  }
  const startMs = performance.now();
  const together = await Promise.all(
    ids(count, 'together').map(async (podId) => {
      await desire(where, podId);
      await untilInUse(where, podId);
      return performance.now() - startMs;
    }),
  );
  const rows = [
    row('create → own certificate in use, one pod at a time', alone),
    row(`${count} pods at once: first create → own certificate in use, each`, together),
  ];
  return { id: 'use', title: 'Waiting', unit: 'ms', rows, remarks: [], kind: 'trials' };
}

/** Milliseconds per order, by the clock and of this process's CPU, round by round. */
async function orders(noncesRefused: number): Promise<{ wall: number[]; cpu: number[] }> {
  const taken = { wall: [] as number[], cpu: [] as number[] };
  await using world = await PebbleWorld.open(await pebbleProgram(), { noncesRefused });
  await world.start();
  for (let round = 0; round < rounds; round += 1) {
    const before = (await world.issued()).size;
    const [startMs, cpuBefore] = [performance.now(), process.cpuUsage()];
    await world.desire(ids(ordersPerRound, `r${round}p`));
    const all = async () => (await world.issued()).size === before + ordersPerRound;
    await world.until(all, waitMs);
    const { user, system } = process.cpuUsage(cpuBefore);
    taken.wall.push((performance.now() - startMs) / ordersPerRound);
    taken.cpu.push((user + system) / 1_000 / ordersPerRound);
  }
  return taken;
}

async function rates(): Promise<Table[]> {
  const [plain, refused] = [await orders(0), await orders(50)];
  const rows = (of: 'wall' | 'cpu'): Row[] => [
    row('no nonce refused', plain[of]),
    row('half of all nonces refused', refused[of]),
  ];
  const perSecond = plain.wall.map((ms) => (1_000 / ms).toFixed(0)).join(', ');
  const remark = `Without faults that is ${perSecond} orders a second, round by round.`;
  const title = `${ordersPerRound} orders, 16 at a time`;
  const unit = 'ms per order';
  const kind = 'trials' as const;
  return [
    { id: 'orders', title, unit, rows: rows('wall'), remarks: [remark], kind },
    { id: 'cpu', title, unit: 'CPU ms of certs per order', rows: rows('cpu'), remarks: [], kind },
  ];
}

export const certificatesAcme: Question = {
  name: 'certificates-acme',
  title: 'Certificates from an ACME authority',
  about:
    'pebble on the same machine, nothing pinned. Waiting: a whole standalone with two gateway workers, whose ' +
    'hosts pebble finds by BIND and proves by HTTP-01 at the gateway; pods are made through the API, and a client that ' +
    'trusts pebble alone comes on a new connection every few milliseconds. Orders: the certs program on ' +
    'a store in memory; pebble takes all proofs for good, and its own CPU is on the same cores.',
  tools: [],
  wholeMachine: true,
  run: async (bench, pods = podsUsual) => [await waiting(bench, pods), ...(await rates())],
};
