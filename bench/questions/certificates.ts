import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Certificate } from '#contracts/certificate.ts';
import { certificates } from '#contracts/certificate.ts';
import type { Sealer } from '#contracts/sealer.ts';
import type { Collection } from '#contracts/store.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import { makeIdentity } from '../../test/edge.ts';
import { openTestRedis } from '../../test/programs/redis-store.ts';
import { RedisServer } from '../../test/programs/redis.ts';
import type { Bench, GatewayOptions, Subject } from '../bench.ts';
import { ask, connect } from '../clients/connection.ts';
import { storedCertificate } from '../gateway/certificate.ts';
import type { Load } from '../load/load.ts';
import { parseWrk, wrkArguments } from '../load/wrk.ts';
import { pathOf } from '../machine/tools.ts';
import { memoryBytes } from '../machine/usage.ts';
import { cpuPerUnit, usual } from '../measure.ts';
import { podHost } from '../peers/peer.ts';
import type { Row, Sample, Table } from '../results.ts';
import { client } from './handshakes.ts';
import { wrkLoad } from './http1.ts';
import type { Question } from './question.ts';

const sizes = [10, 1_000, 100_000];
const inUseMost = 1_000;
const roundsUsual = 3;
const writersAtOnce = 256;
const changes = 200;
const warmupSeconds = 8; // 200 contexts a second are built

const tables = {
  start: {
    id: 'start',
    title: 'Cold starts, process → ready',
    unit: 's',
    kind: 'trials',
    remarks: ['On the gateway’s core; Redis and its disk are on the other.'],
  },
  memory: {
    id: 'memory',
    title: 'Memory when all in use were visited',
    unit: 'MiB (PSS)',
    kind: 'trials',
    remarks: ['Of those that have started from their own disk.'],
  },
  handshakes: {
    id: 'handshakes',
    title: 'Full handshakes',
    unit: 'CPU µs per connection with one request',
    remarks: [],
  },
  requests: {
    id: 'requests',
    title: 'Requests on kept connections',
    unit: 'CPU µs per request',
    remarks: [],
  },
  update: {
    id: 'update',
    title: 'From storing a certificate to a handshake with it',
    unit: 'ms',
    kind: 'trials',
    remarks: [
      'From asking Redis for the write to the end of the first handshake that shows it; one is tried after the other.',
      'A connection that was open before was asked after each change, and went on every time.',
    ],
  },
} as const satisfies Readonly<Record<string, Omit<Table, 'rows'>>>;

const otherHost = (number: number): string => `other${number}.pods.example.test`;
// Two that clients can tell from one another, each for all hosts.
const identities = [makeIdentity(), makeIdentity()] as const;

/** So many certificates in a Redis of their own, and a gateway that has them. */
interface Stored {
  readonly name: string;
  readonly inUse: number;
  readonly collection: Collection<Certificate>;
  readonly sealer: Sealer;
  readonly subject: Subject;
  readonly starts: readonly Row[];
}

async function put(
  { collection, sealer }: Pick<Stored, 'collection' | 'sealer'>,
  [id, host]: readonly [string, string],
  identity = identities[0],
): Promise<void> {
  await collection.put(id, storedCertificate(sealer, identity, { id, host }), 'anything');
}

async function fill(store: Pick<Stored, 'collection' | 'sealer'>, count: number): Promise<void> {
  await put(store, ['wildcard', '*.pods.example.test']);
  await put(store, ['pod/default/a', podHost]);
  let next = 0;
  const write = async (): Promise<void> => {
    for (let number = next++; number < count - 1; number = next++)
      await put(store, [`pod/default/other${number}`, otherHost(number)]);
  };
  await Promise.all(Array.from({ length: writersAtOnce }, write));
}

/** Starts it with nothing on its disk, and then once more, as it stays. */
async function started(bench: Bench, count: number, upstreamPort: number): Promise<Stored> {
  const redis = await RedisServer.start(pathOf('redis-server'));
  bench.atClose(() => redis.stop());
  const opened = await openTestRedis(redis.url);
  bench.atClose(async () => opened.close());
  const keyFile = join(bench.folder, 'sealer.key');
  const store = { collection: certificates(opened.store), sealer: openSealer(keyFile) };
  await fill(store, count);
  const name = `${count.toLocaleString('en')} certificates`;
  const inUse = Math.min(count, inUseMost);
  const options: GatewayOptions = {
    name,
    upstreamPort,
    others: inUse - 1,
    stored: { redis: redis.url, keyFile },
    folder: `of-${count}`,
    // From one address come as many as the gateway takes from a balancer only.
    terms: { trustedProxies: ['127.0.0.1'] },
  };
  const start = async (): Promise<readonly [Subject, Sample]> => {
    const beganMs = performance.now();
    const [subject] = await bench.gateways(options);
    if (!subject) throw new Error('no gateway');
    return [subject, { total: (performance.now() - beganMs) / 1_000 }];
  };
  const [unknowing, cold] = await start();
  await bench.processes.stop(unknowing.child);
  const [subject, warm] = await start();
  const starts = [
    { subject: `${name}, with nothing on disk`, samples: [cold] },
    { subject: `${name}, known from the run before`, samples: [warm] },
  ];
  return { ...store, name, inUse, subject, starts };
}

/** Full handshakes, each with the next of the hosts in use. */
async function handshakeLoad(bench: Bench, { subject, inUse }: Stored) {
  const port = await bench.beside(`client-${subject.name}`, (own) =>
    client({ folder: bench.folder, port: own, target: subject.port, resumed: false }),
  );
  const script = join(bench.folder, `hosts-${inUse}.lua`);
  writeFileSync(
    script,
    `local number = 0
request = function()
  number = (number + 1) % ${inUse}
  wrk.headers["Host"] = number == 0 and "${podHost}" or "other" .. (number - 1) .. ".pods.example.test"
  return wrk.format()
end
`,
  );
  return async (seconds: number): Promise<Load> => {
    const url = `http://127.0.0.1:${port}/`;
    const argv = wrkArguments({ url, connections: 32, seconds, script });
    return parseWrk(await bench.generate([pathOf('wrk'), ...argv], seconds));
  };
}

/** Renews the certificate of a host that is in use, and looks when a new connection is shown it. */
async function updates(stored: Stored): Promise<Sample[]> {
  const kept = await connect(stored.subject.port);
  const samples: Sample[] = [];
  for (let change = 1; change <= changes; change += 1) {
    const identity = identities[change % 2 === 0 ? 0 : 1];
    const startedMs = performance.now();
    await put(stored, ['pod/default/a', podHost], identity);
    for (;;) {
      const socket = await connect(stored.subject.port);
      const shown = socket.getPeerCertificate().fingerprint256;
      socket.destroy();
      if (shown === new X509Certificate(identity.chain).fingerprint256) break;
    }
    samples.push({ total: performance.now() - startedMs });
    // One that was open before goes on, under what it began with.
    if (!(await ask(kept)).startsWith('HTTP/1.1 200')) throw new Error('a connection was lost');
  }
  kept.destroy();
  return samples;
}

const mebibytes = (pid: number): Sample => ({ total: memoryBytes([pid]) / 2 ** 20 });

function memory({ name, subject }: Stored): Row[] {
  const [parent = 0, worker = 0] = subject.pids();
  return [
    { subject: `${name}, parent`, samples: [mebibytes(parent)] },
    { subject: `${name}, worker`, samples: [mebibytes(worker)] },
  ];
}

/** Full handshakes, then what is held in memory since, then requests on kept connections. */
async function loaded(bench: Bench, all: readonly Stored[], rounds: number) {
  const subjects = all.map(({ subject }) => subject);
  const loads = new Map<Subject, (seconds: number) => Promise<Load>>();
  for (const stored of all) loads.set(stored.subject, await handshakeLoad(bench, stored));
  const load = async (subject: Subject, seconds: number): Promise<Load> => {
    const result = await loads.get(subject)?.(seconds);
    if (!result) throw new Error('there is no load for it');
    return result;
  };
  const handshakes = await cpuPerUnit(subjects, { ...usual, warmupSeconds, rounds }, load);
  const visited = all.flatMap(memory);
  const requests = await cpuPerUnit(subjects, { ...usual, rounds }, wrkLoad(bench, '/'));
  return { handshakes, visited, requests };
}

async function run(bench: Bench, rounds: number): Promise<Table[]> {
  const upstreamPort = await bench.upstream();
  const all: Stored[] = [];
  for (const count of sizes.toReversed()) all.push(await started(bench, count, upstreamPort));
  const unvisited = all
    .flatMap(memory)
    .map(({ subject, samples }) => ({ subject: `${subject}, nobody came yet`, samples }));
  const { handshakes, visited, requests } = await loaded(bench, all, rounds);
  const update: Row[] = [];
  for (const stored of all) update.push({ subject: stored.name, samples: await updates(stored) });
  return [
    { ...tables.start, rows: all.flatMap(({ starts }) => starts) },
    { ...tables.memory, rows: [...visited, ...unvisited] },
    { ...tables.handshakes, rows: handshakes },
    { ...tables.requests, rows: requests },
    { ...tables.update, rows: update },
  ];
}

export const certificatesInUse: Question = {
  name: 'certificates',
  title: '10, 1,000 and 100,000 certificates',
  about:
    'In a Redis on the load’s core (every write on disk before its answer); of 100,000 as many are in use, and ' +
    'have routes, as of 1,000. All hosts share two chains and keys, each stored and sealed for itself: what a ' +
    'certificate costs in memory, on disk and in a handshake is the same. 100,000 routes are the question before.',
  tools: ['redis-server', 'nginx', 'haproxy', 'wrk'],
  run: async (bench, rounds = roundsUsual) => run(bench, rounds),
};
