import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certificates } from '#contracts/certificate.ts';
import { sealContext } from '#contracts/pod.ts';
import type { Route } from '#contracts/route.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import { challenges } from '#contracts/challenge.ts';
import { sessionTickets } from '../../gateway/ticket-key.ts';
import { systemClock } from '#adapters/system/clock.ts';
import { systemRandom } from '#adapters/system/random.ts';
import { openSealer } from '#adapters/system/sealer.ts';
import type { Gateway } from '../../gateway/gateway.ts';
import { startGateway } from '../../gateway/gateway.ts';
import { makeIdentity } from '../edge.ts';
import type { Report, Wish } from './clients.ts';
import type { Listening } from './pods.ts';
import { servingTerms } from '../gateway-examples.ts';

/** Routes are edited while tunnels and requests live on them: the worst hour of a busy gateway. */

export interface Edits {
  /** Of each kind, TCP and WebSocket. */
  readonly tunnels: number;
  readonly perSecond: number;
  readonly seconds: number;
}

export interface Outcome {
  readonly edits: number;
  readonly seconds: number;
  /** From the publishing of an edit until both workers apply it, of a sample. */
  readonly applyMs: { readonly median: number; readonly p99: number; readonly worst: number };
  readonly clients: Report;
}

const domain = 'pods.example.test';
const podsPerKind = 25;
const bystanders = 2_000; // routes that nobody uses, as most are
const silent = { debug() {}, info() {}, warn() {}, error() {} };

const named = (kind: string): string[] =>
  Array.from({ length: podsPerKind }, (_, index) => `${kind}${index}`);

export async function editUnderLoad(wanted: Edits): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'podgate-edits-'));
  const children: ChildProcess[] = [];
  const bus = new MemoryRouteBus();
  const identity = makeIdentity();
  let gateway: Gateway | undefined;
  try {
    gateway = await startWith(bus, identity, folder);
    const names = { tcp: named('tcp'), websocket: named('ws'), http: named('web') };
    const pods = child('pods.ts', [...names.tcp, ...names.websocket, ...names.http]);
    children.push(pods);
    const [{ ports }] = (await once(pods, 'message')) as [Listening];
    const routes = Object.entries(ports).map(([name, port]) => routeOf(name, port));
    await bus.begin(1, [...routes, ...bystandersOf()]);

    const wish: Wish = {
      ...names,
      port: gateway.httpsPort,
      ca: identity.chain,
      domain,
      perPod: Math.ceil(wanted.tunnels / podsPerKind / 2),
      everyMs: 10_000,
    };
    const clients = [child('clients.ts', []), child('clients.ts', [])];
    children.push(...clients);
    const opened = clients.map((one) => once(one, 'message'));
    for (const one of clients) one.send(wish);
    await Promise.all(opened);

    const made = await edit(bus, routes, wanted);
    const reports = clients.map((one) => once(one, 'message') as Promise<[Report]>);
    for (const one of clients) one.send('report');
    return { ...made, clients: sum((await Promise.all(reports)).map(([report]) => report)) };
  } finally {
    for (const one of children) one.kill();
    await gateway?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

const child = (program: string, names: readonly string[]): ChildProcess =>
  fork(join(import.meta.dirname, program), [...names]);

async function startWith(
  bus: MemoryRouteBus,
  identity: { chain: string; key: string },
  dataDir: string,
): Promise<Gateway> {
  const store = new MemoryStore();
  const sealer = openSealer(join(dataDir, 'key'));
  const certificate = {
    hosts: [`*.${domain}`],
    chain: identity.chain,
    key: sealer.seal(identity.key, sealContext.certificate('wildcard')),
    notBeforeMs: 0,
    notAfterMs: Number.MAX_SAFE_INTEGER,
    renewAtMs: Number.MAX_SAFE_INTEGER,
    issuer: 'test',
  };
  await certificates(store).put('wildcard', certificate, 'absent');
  return startGateway(
    {
      routes: bus,
      certificates: certificates(store),
      challenges: challenges(store),
      tickets: sessionTickets(store),
      sealer,
      clock: systemClock,
      random: systemRandom,
      log: silent,
    },
    {
      id: 'edits',
      ...servingTerms,
      httpsPort: 0,
      httpPort: 0,
      workers: 2,
      dataDir,
    },
  );
}

const routeOf = (name: string, port: number): Route => ({
  host: `${name}.${domain}`,
  tenant: 'default',
  pod: name,
  network: 'default',
  protocol: name.startsWith('tcp') ? 'tcp' : 'http',
  state: 'ready',
  message: '',
  upstream: { host: '127.0.0.1', port },
});

const bystandersOf = (): Route[] =>
  Array.from({ length: bystanders }, (_, index) => routeOf(`other${index}`, 9));

/**
 * Every other edit changes a route that tunnels live on so that it leads to a wrong pod and back; the
 * routes that requests go by keep their upstream and change otherwise.
 */
function editOf(count: number, routes: readonly Route[]): Route {
  const random = (count * 2_654_435_761) % 4_294_967_296;
  if (count % 2 === 0) return routeOf(`other${random % bystanders}`, 10 + (count % 1000));
  const route = routes[random % routes.length];
  const wrong = routes[(random + 1) % routes.length];
  if (!route || !wrong) throw new Error('no routes');
  if (route.pod.startsWith('web')) return { ...route, message: `edit ${count}` };
  return count % 4 === 1 ? { ...route, upstream: wrong.upstream } : route;
}

async function edit(
  bus: MemoryRouteBus,
  routes: readonly Route[],
  { perSecond, seconds }: Edits,
): Promise<Omit<Outcome, 'clients'>> {
  const turnMs = 10;
  const waiting: { revision: number; atMs: number }[] = [];
  const applied: number[] = [];
  const forget = bus.onAcks(() => {
    const served = Math.min(...bus.acks().map(({ revision }) => revision));
    while (waiting[0] && waiting[0].revision <= served) {
      applied.push(performance.now() - (waiting.shift()?.atMs ?? 0));
    }
  });
  const startMs = performance.now();
  let edits = 0;
  while (performance.now() - startMs < seconds * 1_000) {
    // As many as are due, so that a slow turn is made up for.
    const due = Math.floor(((performance.now() - startMs) * perSecond) / 1_000);
    for (; edits < due; edits += 1) {
      const revision = await bus.put(1, editOf(edits, routes));
      if (edits % 10 === 0) waiting.push({ revision, atMs: performance.now() });
    }
    await new Promise((resolve) => setTimeout(resolve, turnMs));
  }
  const took = (performance.now() - startMs) / 1_000;
  forget();
  applied.sort((a, b) => a - b);
  const at = (share: number): number => applied[Math.floor(applied.length * share)] ?? 0;
  const applyMs = { median: at(0.5), p99: at(0.99), worst: applied.at(-1) ?? 0 };
  return { edits, seconds: took, applyMs };
}

const sum = (reports: readonly Report[]): Report => ({
  open: reports.reduce((total, { open }) => total + open, 0),
  answers: reports.reduce((total, { answers }) => total + answers, 0),
  requests: reports.reduce((total, { requests }) => total + requests, 0),
  faults: reports.flatMap(({ faults }) => faults),
});
