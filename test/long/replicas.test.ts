import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { certificates } from '#contracts/certificate.ts';
import { challenges } from '#contracts/challenge.ts';
import { sessionTickets } from '../../gateway/ticket-key.ts';
import { sealContext } from '#contracts/pod.ts';
import type { Route } from '#contracts/route.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { parseNatsUrl } from '#adapters/nats/address.ts';
import { NatsCancelExchange } from '#adapters/nats/cancel-exchange.ts';
import { NatsLink } from '#adapters/nats/link.ts';
import { NatsRouteBus } from '#adapters/nats/route-bus.ts';
import { NatsTrafficExchange } from '#adapters/nats/traffic-exchange.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import { Publisher } from '../../controller/publish.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import { startGateway } from '../../gateway/gateway.ts';
import { makeIdentity } from '../edge.ts';
import { exampleRoute, listening, servingTerms } from '../gateway-examples.ts';
import { eventually } from '../processes.ts';
import { natsProgram, NatsServer } from '../programs/nats.ts';
import { cancelRequest, postgres, sleepingQueries, startPostgres } from '../programs/postgres.ts';
import { available } from '../programs/run.ts';

/** Two gateways of one worker process each and a controller's end of the bus, with NATS between. */

const programs = (await available('cancels across gateways', postgres)) ?? '';
const folder = mkdtempSync(join(tmpdir(), 'podgate-replicas-'));
const log = { debug() {}, info() {}, warn() {}, error() {} };
const system = { clock: systemClock, random: systemRandom, log };
const sealer = openSealer(join(folder, 'key'));
const documents = new MemoryStore();
const store = certificates(documents);
const pod = http.createServer((_request, response) => response.end('pod'));
const links: NatsLink[] = [];

interface Replica {
  readonly gateway: Gateway;
  readonly link: NatsLink;
  stop(): Promise<void>;
}

let server: NatsServer;
let first: Replica;
let second: Replica;
let controller: NatsRouteBus;
let publisher: Publisher;
let podPort: number;

beforeAll(async () => {
  server = await NatsServer.start(await natsProgram());
  podPort = await listening(pod);
  await certify();
  controller = new NatsRouteBus(await connect('controller'), system);
  publisher = new Publisher(controller, 1, systemClock);
  [first, second] = await Promise.all([replica('first'), replica('second')]);
  await publisher.begin(new Map([['default/a', [routeTo('a')]]]));
  await eventually(() => controller.acks().length === 2);
});

afterAll(async () => {
  await Promise.all([first.stop(), second.stop()]);
  await Promise.all(links.map((link) => link.close()));
  await server.stop();
  pod.closeAllConnections();
  pod.close();
  rmSync(folder, { recursive: true, force: true });
});

async function connect(name: string): Promise<NatsLink> {
  const settings = { address: parseNatsUrl(server.url), creds: undefined, ca: undefined };
  const link = new NatsLink({ ...settings, replicas: 1, name }, system);
  links.push(link);
  await link.connected();
  return link;
}

/** A gateway with a connection, tables and a folder of its own. */
async function replica(id: string): Promise<Replica> {
  const link = await connect(id);
  const routes = new NatsRouteBus(link, system);
  const cancels = new NatsCancelExchange(link, systemClock);
  const gateway = await startGateway(
    {
      ...system,
      routes,
      cancels,
      certificates: store,
      challenges: challenges(documents),
      tickets: sessionTickets(documents),
      sealer,
    },
    { ...servingTerms, id, httpsPort: 0, httpPort: 0, workers: 1, dataDir: join(folder, id) },
  );
  const end = new NatsTrafficExchange(link, systemClock).serve(gateway.operator.traffic);
  const stop = async (): Promise<void> => {
    end();
    await gateway.stop();
  };
  return { gateway, link, stop };
}

async function certify(): Promise<void> {
  const { chain, key } = makeIdentity();
  const certificate = {
    hosts: ['*.pods.example.test'],
    chain,
    key: sealer.seal(key, sealContext.certificate('wildcard')),
    notBeforeMs: 0,
    notAfterMs: Number.MAX_SAFE_INTEGER,
    renewAtMs: Number.MAX_SAFE_INTEGER,
    issuer: 'test',
  };
  await store.put('wildcard', certificate, 'anything');
}

const hostOf = (name: string): string => `${name}.pods.example.test`;
const routeTo = (name: string, change: Partial<Route> = {}): Route =>
  exampleRoute({
    host: hostOf(name),
    pod: name,
    upstream: { host: '127.0.0.1', port: podPort },
    ...change,
  });

/** The status with which a gateway answers for a pod. */
async function ask({ gateway }: Replica, name: string): Promise<number> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port: gateway.httpsPort,
    servername: hostOf(name),
    rejectUnauthorized: false,
  });
  await once(socket, 'secureConnect');
  socket.write(`GET / HTTP/1.1\r\nHost: ${hostOf(name)}\r\nConnection: close\r\n\r\n`);
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  return Number(answer.split(' ')[1]);
}

const both = (name: string): Promise<number[]> =>
  Promise.all([first, second].map((one) => ask(one, name)));

test('a route counts as served when both serve it, and a dropped one as gone from both', async () => {
  await publisher.publish('default/b', [routeTo('b')]);
  await eventually(() => publisher.standing('default/b', hostOf('b')) === 'served');
  expect(await both('b')).toEqual([200, 200]);
  await publisher.publish('default/b', []);
  await publisher.settled('default/b', 10_000);
  expect(await both('b')).toEqual([404, 404]);
});

test('what both have counted for a pod is one sum', async () => {
  const api = new NatsTrafficExchange(await connect('api'), systemClock);
  for (const one of [first, second, second]) expect(await ask(one, 'a')).toBe(200);
  // Workers report once a second.
  await eventually(async () => {
    const { networks } = await api.read('default/a');
    return networks.get('default')?.requests === 3;
  });
});

test.skipIf(!programs)('a query is cancelled at the gateway where its session is not', async () => {
  const database = await startPostgres(programs);
  const upstream = { host: '127.0.0.1', port: database.port };
  await publisher.publish('default/db', [routeTo('db', { protocol: 'postgres', upstream })]);
  await eventually(() => publisher.standing('default/db', hostOf('db')) === 'served');
  const direct = { user: 'postgres', database: 'postgres' };
  const watcher = new Client({ ...upstream, ...direct });
  const client = new Client({
    ...direct,
    host: '127.0.0.1',
    port: first.gateway.httpsPort,
    ssl: { servername: hostOf('db'), rejectUnauthorized: false },
  });
  try {
    await watcher.connect();
    await client.connect();
    for (const { gateway } of [second, first]) {
      const query = client.query('select pg_sleep(60)').then(
        () => 'done',
        (error: Error) => error.message,
      );
      await eventually(async () => (await sleepingQueries(watcher)) === 1);
      const canceller = net.connect(gateway.httpsPort, '127.0.0.1').resume();
      canceller.write(cancelRequest(client));
      await once(canceller, 'close'); // says that Postgres has taken it in
      expect(await query).toBe('canceling statement due to user request');
    }
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  } finally {
    await Promise.all([client.end(), watcher.end()]);
    await database.stop();
  }
});

test('while NATS is away both serve on, and a change made after it is back reaches both', async () => {
  await server.kill();
  expect(await both('a')).toEqual([200, 200]);
  await server.start();
  await eventually(async () => {
    await publisher.publish('default/c', [routeTo('c')]).catch(() => undefined);
    return publisher.standing('default/c', hostOf('c')) === 'served';
  });
  expect(await both('c')).toEqual([200, 200]);
});

// The last one: the gateway is as if it were killed afterwards.
test('a gateway that is gone without a word is waited for no longer than a few seconds', async () => {
  const { connection } = second.link;
  if (!connection) throw new Error('it is connected');
  connection.publish = () => undefined;
  const startMs = performance.now();
  await publisher.publish('default/d', [routeTo('d')]);
  await eventually(() => publisher.standing('default/d', hostOf('d')) === 'served');
  const waitedMs = performance.now() - startMs;
  expect(waitedMs).toBeGreaterThan(1_000);
  expect(waitedMs).toBeLessThan(8_000);
  expect(await ask(first, 'd')).toBe(200);
});
