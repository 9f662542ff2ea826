import type { Log } from '#contracts/log.ts';
import type { Route, RouteBus } from '#contracts/route.ts';
import type { TableChange } from '../../gateway/route-feed.ts';
import { ServedRoutes } from '../../gateway/served-routes.ts';
import { domain } from './pods.ts';
import type { Life } from './life.ts';
import type { SeededRandom } from './random.ts';
import type { Timeline } from './timeline.ts';
import type { Witness } from './witness.ts';
import { addressOf, gistOf } from './witness.ts';
import { Worker } from './worker.ts';

const workersCount = 2;
/** As the gateway has them: then the tables of the last run are served, and a change is saved. */
const snapshotWaitMs = 2_000;
const saveDelayMs = 500;
const respawnMs = { least: 50, most: 400 } as const;

/** What outlives a gateway: its tables as they were last saved. */
export interface Disk {
  saved: { readonly routes: readonly Route[]; readonly atMs: number } | undefined;
}

interface GatewayWorld {
  readonly timeline: Timeline;
  readonly random: SeededRandom;
  readonly witness: Witness;
  readonly log: Log;
  /** By host everything it ever was, in order. */
  readonly history: ReadonlyMap<string, readonly string[]>;
  /** A planted bug acknowledges what workers were told, not what they apply. */
  readonly acknowledgesEarly: boolean;
}

/** One life of a gateway: the real parent's routes, and workers that take them in after a while. */
export class SimulatedGateway {
  readonly life: Life;
  readonly #world: GatewayWorld;
  readonly #routes: ServedRoutes;
  readonly #disk: Disk;
  readonly #workers: (Worker | undefined)[];
  /** How far each host has come in its history. */
  readonly #reached = new Map<string, number>();
  /** Routes, as host and address, that all workers had at some time. */
  readonly #served = new Set<string>();
  #saving = false;
  #toldStep = -1;

  constructor(life: Life, bus: RouteBus, disk: Disk, world: GatewayWorld) {
    const { random, log } = world;
    this.life = life;
    this.#world = world;
    this.#disk = disk;
    const ports = {
      routes: bus,
      clock: life.clock,
      random,
      log,
      workers: () => this.#standing(),
      changed: (change: Pick<TableChange, 'puts' | 'drops'>) => this.#changed(change),
    };
    const api = { host: '127.0.0.1', port: 1 };
    this.#routes = new ServedRoutes(ports, { gateway: life.name, domain, api });
    this.#workers = Array.from({ length: workersCount }, () => undefined);
    for (const slot of this.#workers.keys()) this.#startWorker(slot);
    life.clock.after(snapshotWaitMs, () => this.#restore());
    void this.#routes.follow(new AbortController().signal);
    life.onEnd(() => {
      for (const worker of this.#workers) worker?.kill();
    });
  }

  /** One worker process dies. */
  crashWorker(slot: number): void {
    const worker = this.#workers[slot % workersCount];
    if (!worker || this.life.isDead) return;
    worker.kill();
    const { least, most } = { least: 1, most: 20 };
    this.#world.timeline.after(this.#world.random.between(least, most), () =>
      this.life.enter(() => this.#workerEnded(slot % workersCount)),
    );
  }

  pause(workersToo: boolean): void {
    this.life.pause();
    if (workersToo) for (const worker of this.#workers) worker?.pause();
  }

  resume(): void {
    this.life.resume();
    for (const worker of this.#workers) worker?.resume();
  }

  /** Whether all workers led clients of this host to this address at some time. */
  hasServed(host: string, address: string): boolean {
    return this.#served.has(`${host} ${address}`);
  }

  /** Whether any worker leads clients there now. */
  leadsTo(host: string, address: string): boolean {
    return this.#workers.some((worker) => {
      const upstream = worker?.routes.get(host)?.upstream;
      return upstream && addressOf(upstream) === address;
    });
  }

  /** What its parent and each of its workers serve; undefined: one of them does not serve. */
  *tables(): Generator<ReadonlyMap<string, Route> | undefined> {
    yield this.#routes.register.routes;
    for (const worker of this.#workers) yield worker?.ready ? worker.routes : undefined;
  }

  #standing() {
    const { acknowledgesEarly } = this.#world;
    return {
      step: acknowledgesEarly ? this.#toldStep : this.#step(),
      broadcast: (message: Parameters<Worker['send']>[0]): void => {
        for (const worker of this.#workers) worker?.send(message);
        if (message.kind === 'routes') this.#toldStep = message.step ?? this.#toldStep;
        if (acknowledgesEarly) queueMicrotask(() => this.#routes.workersChanged());
      },
    };
  }

  #step(): number {
    return Math.min(...this.#workers.map((worker) => (worker?.ready ? worker.step : -1)));
  }

  #startWorker(slot: number): void {
    const { timeline, random } = this.#world;
    const worker = new Worker(this.life, timeline, random, {
      applied: (hosts) => this.#applied(hosts),
      told: () => this.#routes.workersChanged(),
    });
    this.#workers[slot] = worker;
    for (const message of this.#routes.greeting()) worker.send(message);
    worker.send({ kind: 'serve' });
  }

  #workerEnded(slot: number): void {
    this.#workers[slot] = undefined;
    const { least, most } = respawnMs;
    const delayMs = this.#world.random.between(least, most);
    this.life.clock.after(delayMs, () => this.#startWorker(slot));
  }

  #restore(): void {
    const { saved } = this.#disk;
    if (saved && !this.#routes.register.hasTables) this.#routes.restore(saved.routes, saved.atMs);
  }

  #changed({ puts, drops }: Pick<TableChange, 'puts' | 'drops'>): void {
    const { register } = this.#routes;
    // What comes from disk is of the bus's past.
    if (register.epoch !== undefined) {
      for (const host of drops) this.#moved(host, undefined);
      for (const route of puts) this.#moved(route.host, route);
    }
    if (this.#saving || puts.length + drops.length === 0) return;
    this.#saving = true;
    this.life.clock.after(saveDelayMs, () => {
      this.#saving = false;
      this.#disk.saved = { routes: [...register.routes.values()], atMs: this.life.clock.nowMs() };
    });
  }

  /** A host has only ever one way to go: on through its history. */
  #moved(host: string, route: Route | undefined): void {
    const { history, witness, timeline } = this.#world;
    const gist = gistOf(route);
    timeline.note(`${this.life.name} ${host} ${gist}`);
    const past = history.get(host) ?? [];
    const from = this.#reached.get(host) ?? 0;
    const at = past.indexOf(gist, from);
    if (at >= 0) this.#reached.set(host, at);
    // A host that this life never heard of may be dropped.
    else if (route || this.#reached.has(host))
      witness.accuse('a route went back', `${this.life.name}: ${host} to ${gist}`);
  }

  #applied(hosts: readonly string[]): void {
    for (const host of hosts) {
      const upstream = this.#workers[0]?.routes.get(host)?.upstream;
      if (!upstream) continue;
      const address = addressOf(upstream);
      const all = this.#workers.every((worker) => {
        const own = worker?.routes.get(host)?.upstream;
        return own && addressOf(own) === address;
      });
      if (all) this.#served.add(`${host} ${address}`);
    }
  }
}
