import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#adapters/system/clock.ts';
import type { Bench } from '../bench.ts';
import type { ApiServerReady, Findings } from '../api-server/main.ts';
import type { ControllerRun, Fulfilled, Stopped, Stops, Wish } from '../kubernetes/main.ts';
import { cpuTime, memoryBytes } from '../machine/usage.ts';
import type { Row, Table } from '../results.ts';
import type { Question } from './question.ts';

const sizes = [1_000, 10_000] as const;
const newUsual = 200;
/** Half as many before, one by one. */
const everyMs = 100;
/** Pods that are stopped one by one, among launches and without. */
const stops = 20;
/** One of the controller's rounds through all pods falls into it. */
const restMs = 62_000;

/** A program of ours that answers each message with one. */
class Peer {
  readonly pid: number;
  readonly #child: ChildProcess;

  constructor(bench: Bench, program: string, argument: string) {
    this.#child = fork(join(import.meta.dirname, '..', program, 'main.ts'), [argument]);
    this.pid = this.#child.pid ?? 0;
    bench.atClose(async () => {
      this.#child.kill('SIGKILL');
    });
  }

  async answer<T>(): Promise<T> {
    const ended = new AbortController();
    const failed = once(this.#child, 'exit', { signal: ended.signal }).then(() => {
      throw new Error('a program of the bench has ended');
    });
    failed.catch(() => undefined);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own programs' messages
    const [message] = (await Promise.race([once(this.#child, 'message'), failed])) as [T];
    ended.abort();
    return message;
  }

  async ask<T>(message: object | string): Promise<T> {
    const answer = this.answer<T>();
    this.#child.send(message);
    return answer;
  }
}

interface Outcome {
  /** Of each pod. */
  readonly cpuMs: number;
  readonly requests: readonly string[];
  /** From what the API server says to the gateway's table. */
  readonly delays: readonly number[];
}

/** A cluster with pods that run, and a controller that sees to them. */
class World {
  readonly size: number;
  readonly cluster: Peer;
  readonly controller: Peer;

  private constructor(size: number, cluster: Peer, controller: Peer) {
    this.size = size;
    this.cluster = cluster;
    this.controller = controller;
  }

  static async start(bench: Bench, size: number): Promise<World> {
    const cluster = new Peer(bench, 'api-server', String(size));
    const { server } = await cluster.answer<ApiServerReady>();
    const folder = join(bench.folder, `controller-${size}`);
    mkdirSync(folder);
    const run: ControllerRun = { server, folder, old: size };
    const controller = new Peer(bench, 'kubernetes', JSON.stringify(run));
    await controller.answer();
    return new World(size, cluster, controller);
  }

  get name(): string {
    return `${this.size.toLocaleString('en')} pods`;
  }

  get memory(): number {
    return memoryBytes([this.controller.pid]) / 2 ** 20;
  }

  /** CPU ms that the controller takes for something, and how long that lasts. */
  async cost<T>(work: () => Promise<T>): Promise<{ cpuMs: number; ms: number; answer: T }> {
    const before = cpuTime([this.controller.pid]).totalNs;
    const startedMs = performance.now();
    const answer = await work();
    const cpuMs = (cpuTime([this.controller.pid]).totalNs - before) / 1e6;
    return { cpuMs, ms: performance.now() - startedMs, answer };
  }

  /** Has so many new pods be so, and tells what that took of each. */
  async wish(wish: Wish): Promise<Outcome> {
    await this.cluster.ask<Findings>('forget what was asked so far');
    const { cpuMs, answer } = await this.cost(() => this.controller.ask<Fulfilled>(wish));
    const { ready, requests } = await this.cluster.ask<Findings>('tell');
    const routed = new Map(answer.routed);
    const delays = ready.map(([key, atMs]) => (routed.get(key) ?? NaN) - atMs);
    return { cpuMs: cpuMs / wish.count, requests, delays };
  }
}

const row = (subject: string, ...totals: readonly number[]): Row => ({
  subject,
  samples: totals.map((total) => ({ total })),
});

const table = (id: string, title: string, unit: string, rows: readonly Row[]): Table => ({
  id,
  title,
  unit,
  rows,
  remarks: [],
  kind: 'trials',
});

/** A controller that finds everything running, and then has nothing to do. */
async function beginAndRest(worlds: readonly World[]): Promise<Table[]> {
  const [over, memory, rest]: [Row[], Row[], Row[]] = [[], [], []];
  for (const world of worlds) {
    memory.push(row(`${world.name}, in the store alone`, world.memory));
    const { ms, cpuMs } = await world.cost(() => world.controller.ask('start'));
    over.push(row(`${world.name}: until the table is whole`, ms));
    over.push(row(`${world.name}: CPU of that`, cpuMs));
  }
  const slept = worlds.map(async (world) => {
    const { cpuMs, ms } = await world.cost(() => systemClock.sleep(restMs));
    rest.push(row(world.name, (cpuMs / ms) * 100));
    memory.push(row(`${world.name}, a minute after`, world.memory));
  });
  await Promise.all(slept);
  return [
    table('begin', 'A controller begins where pods run', 'ms', over),
    table('memory', 'Memory of the controller', 'MiB (PSS)', memory),
    table('rest', 'CPU of the controller while nothing happens', '% of a core', rest),
  ];
}

/** Pods that come, stop and go. */
async function lives(worlds: readonly World[], count: number): Promise<Table[]> {
  const [ready, requests, cpu]: [Row[], Row[], Row[]] = [[], [], []];
  const asked = new Set<string>();
  for (const world of worlds) {
    const one = await world.wish({ be: 'AVAILABLE', count: Math.ceil(count / 2), everyMs });
    ready.push(row(`${world.name}, one more every ${everyMs} ms`, ...one.delays));
    await world.wish({ be: 'gone', count: Math.ceil(count / 2), everyMs: 0 });
    for (const be of ['AVAILABLE', 'STOPPED', 'gone'] as const) {
      const outcome = await world.wish({ be, count, everyMs: 0 });
      if (be === 'AVAILABLE')
        ready.push(row(`${world.name}, ${newUsual} more at once`, ...outcome.delays));
      requests.push(row(`${world.name}: to be ${be}`, outcome.requests.length / count));
      cpu.push(row(`${world.name}: to be ${be}`, outcome.cpuMs));
      asked.add(`To be ${be}: ${[...new Set(outcome.requests)].toSorted().join(', ')}.`);
    }
  }
  return [
    table('ready', 'The API server says ready → route in the gateway’s table', 'ms', ready),
    {
      ...table('requests', 'Requests to the API server', 'per pod', requests),
      remarks: [...asked],
    },
    table('cpu', 'CPU of the controller', 'ms per pod', cpu),
  ];
}

/** Pods that are stopped while others are launched. */
async function stopsAmong(worlds: readonly World[], launches: number): Promise<Table[]> {
  const rows: Row[] = [];
  for (const world of worlds)
    for (const others of [0, launches]) {
      await world.wish({ be: 'AVAILABLE', count: stops, everyMs: 0 });
      const wish: Stops = { stops, everyMs, launches: others };
      const { delays } = await world.controller.ask<Stopped>(wish);
      rows.push(row(`${world.name}, while ${others} are launched`, ...delays));
      await world.wish({ be: 'gone', count: stops + others, everyMs: 0 });
    }
  return [table('stop', 'OFF is asked for → the pod is STOPPED', 'ms', rows)];
}

export const kubernetes: Question = {
  name: 'kubernetes',
  title: 'Pods on Kubernetes',
  about:
    'A controller alone on the double of an API server (test/kubernetes), with a node that gives statuses and ' +
    'runs nothing, nothing pinned. So many pods run already when the controller begins; after a minute of rest, ' +
    `with one of its rounds through all pods, ${newUsual / 2} more come one by one, and ${newUsual} come at once, ` +
    `stop and go; then ${stops} are stopped, one every ${everyMs} ms, while nothing else and while ${newUsual} others ` +
    'are launched. Its store is in its own memory, and its gateway only keeps the table.',
  tools: [],
  wholeMachine: true,
  async run(bench, count = newUsual) {
    const worlds: World[] = [];
    for (const size of sizes) worlds.push(await World.start(bench, size));
    return [
      ...(await beginAndRest(worlds)),
      ...(await lives(worlds, count)),
      ...(await stopsAmong(worlds, count)),
    ];
  },
};
