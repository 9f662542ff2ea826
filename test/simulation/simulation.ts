import { MemoryLeases } from '#adapters/memory/leases.ts';
import { MemoryRouteBus } from '#adapters/memory/route-bus.ts';
import { MemoryStore } from '#adapters/memory/store.ts';
import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import { desiredPods, podStatuses } from '#contracts/pod.ts';
import type { Store } from '#contracts/store.ts';
import { BusServer } from './bus-server.ts';
import type { Controller } from '../../controller/controller.ts';
import { beginController } from './controller.ts';
import { healedMs, plotFaults } from './faults.ts';
import { FaultyBus } from './faulty-bus.ts';
import { FaultyStore } from './faulty-store.ts';
import type { Disk } from './gateway.ts';
import { SimulatedGateway } from './gateway.ts';
import { LeaseServer } from './lease-server.ts';
import { Life } from './life.ts';
import { Network } from './network.ts';
import type { Plant } from './plants.ts';
import { PodPlace } from './pod-place.ts';
import { Program } from './program.ts';
import { SeededRandom } from './random.ts';
import { Rules } from './rules.ts';
import { unsettled } from './settled.ts';
import { Timeline } from './timeline.ts';
import type { Violation } from './witness.ts';
import { Witness } from './witness.ts';
import type { Operation } from './workload.ts';
import { isRefusal, operate, planOperations, Promises } from './workload.ts';

export const controllersCount = 2;
export const gatewaysCount = 3;
const apisCount = 2;
/** How long everything may take to be as it should after the last fault: resync, leases and backoff. */
const settleMsMax = 300_000;
const lookEveryMs = 2_500;
/** It must stay as it should be. */
const staysMs = 2_500;
const violationsMax = 20;

export interface Outcome {
  readonly seed: number;
  /** The same for the same seed. */
  readonly hash: string;
  readonly violations: readonly Violation[];
  readonly operations: {
    readonly done: number;
    readonly refused: number;
    readonly unknown: number;
  };
  readonly faults: number;
  /** From the end of the faults until everything was as it should be. */
  readonly settledMs: number;
  /** Only where it was asked for. */
  readonly trace: readonly string[];
}

/** Runs one seed to its end. */
export async function simulate(seed: number, plant: Plant, keepTrace = false): Promise<Outcome> {
  const unpatch = plant.patch?.();
  const world = new World(seed, plant, keepTrace);
  const crashed = (error: unknown): void => world.failed(error);
  process.on('unhandledRejection', crashed);
  try {
    return await world.run();
  } finally {
    process.off('unhandledRejection', crashed);
    unpatch?.();
  }
}

class World {
  readonly #seed: number;
  readonly #plant: Plant;
  readonly #timeline: Timeline;
  readonly #random: SeededRandom;
  readonly #witness: Witness;
  /** Of what never fails. */
  readonly #clock: Clock;
  readonly #leases: LeaseServer;
  readonly #network: Network;
  readonly #store: Store;
  readonly #server: BusServer;
  readonly #place: PodPlace;
  readonly #promises = new Promises();
  readonly #controllers: readonly Program<Controller>[];
  readonly #gateways: readonly Program<SimulatedGateway>[];
  readonly #apis: readonly Program<Life>[];
  readonly #rules: Rules;

  constructor(seed: number, plant: Plant, keepTrace: boolean) {
    this.#seed = seed;
    this.#plant = plant;
    this.#timeline = new Timeline(keepTrace);
    const timeline = this.#timeline;
    this.#random = new SeededRandom(seed);
    const random = this.#random;
    this.#witness = new Witness(timeline);
    this.#clock = new Life('ideal', timeline, 0, (error) => this.failed(error)).clock;
    this.#leases = new LeaseServer(new MemoryLeases(this.#clock, 0), timeline);
    this.#network = new Network(timeline, random.fork());
    const store = new MemoryStore();
    this.#store = plant.store?.(store) ?? store;
    const bus = new MemoryRouteBus();
    this.#server = new BusServer(plant.bus?.(bus) ?? bus, timeline, this.#witness);
    this.#rules = new Rules(this.#witness, this.#server, {
      place: () => this.#place,
      holder: () => this.#leases.holder,
      gateway: (name) => this.#gatewayOf(name),
    });
    this.#place = new PodPlace(timeline, random.fork(), {
      started: (spec) => this.#rules.started(spec),
      stopped: (key, { run }) => timeline.note(`${key} run ${run} is asked to end`),
    });
    this.#controllers = this.#makeControllers();
    this.#gateways = this.#makeGateways();
    this.#apis = this.#make('api', apisCount, (life) => life);
  }

  async run(): Promise<Outcome> {
    const [timeline, random] = [this.#timeline, this.#random];
    for (const program of [...this.#controllers, ...this.#gateways, ...this.#apis])
      timeline.after(random.between(0, 1_500), () => program.start());
    for (const operation of planOperations(random.fork(), apisCount))
      timeline.after(operation.atMs, () => this.#operate(operation));
    const faults = plotFaults({
      timeline,
      random: random.fork(),
      network: this.#network,
      place: this.#place,
      controllers: this.#controllers,
      gateways: this.#gateways,
      apis: this.#apis,
    });
    await timeline.advanceTo(healedMs);
    const settledMs = await this.#settle();
    const { done, refused, unknown } = this.#promises;
    return {
      seed: this.#seed,
      hash: timeline.hash,
      violations: this.#witness.violations,
      operations: { done, refused, unknown },
      faults,
      settledMs,
      trace: timeline.trace,
    };
  }

  failed(error: unknown): void {
    if (this.#witness.violations.length < violationsMax)
      this.#witness.accuse('an error nobody expects', textOf(error));
  }

  #make<Running>(kind: string, count: number, begin: (life: Life) => Running): Program<Running>[] {
    const chance = { timeline: this.#timeline, random: this.#random.fork() };
    const failed = (error: unknown): void => this.failed(error);
    return Array.from(
      { length: count },
      (_, number) => new Program(`${kind}-${number + 1}`, chance, begin, failed),
    );
  }

  #makeControllers(): Program<Controller>[] {
    const random = this.#random.fork();
    const world = {
      store: this.#store,
      leases: this.#leases,
      server: this.#server,
      place: this.#place,
      network: this.#network,
      random,
      log: this.#log(),
      plant: this.#plant,
      rules: this.#rules,
    };
    return this.#make('controller', controllersCount, (life) => beginController(life, world));
  }

  #makeGateways(): Program<SimulatedGateway>[] {
    const disks = new Map<string, Disk>();
    const world = {
      timeline: this.#timeline,
      random: this.#random.fork(),
      witness: this.#witness,
      log: this.#log(),
      history: this.#server.history,
      acknowledgesEarly: this.#plant.acknowledgesEarly ?? false,
    };
    return this.#make('gateway', gatewaysCount, (life) => {
      const machine = life.name.split('/')[0] ?? '';
      const disk = disks.get(machine) ?? { saved: undefined };
      disks.set(machine, disk);
      const bus = new FaultyBus(this.#server, life, this.#network);
      bus.repeatAcks();
      return new SimulatedGateway(life, bus, disk, world);
    });
  }

  #gatewayOf(name: string): SimulatedGateway | undefined {
    return this.#gateways.find(({ current }) => current?.life.name === name)?.current?.running;
  }

  #operate(operation: Operation): void {
    const life = this.#apis[operation.api]?.current;
    const promises = this.#promises;
    // Whoever meets no api asks another time; here that is a refusal.
    if (!life) {
      promises.refused += 1;
      return;
    }
    const store = new FaultyStore(this.#store, life.running, this.#network);
    void this.#outcome(operation, { life: life.running, store, plant: this.#plant });
  }

  async #outcome(operation: Operation, api: Parameters<typeof operate>[1]): Promise<void> {
    const promises = this.#promises;
    const { tag, kind, podId } = operation;
    let how = 'is done';
    try {
      await operate(operation, api, promises);
      promises.done += 1;
    } catch (error) {
      how = nameOf(error);
      if (isRefusal(error)) promises.refused += 1;
      else if (isExpected(error)) promises.unknown += 1;
      else this.failed(error);
    }
    this.#timeline.note(`${tag} ${kind} ${podId} ${how}`);
  }

  /** Until everything is as it should be, or it takes too long; returns how long it took. */
  async #settle(): Promise<number> {
    const timeline = this.#timeline;
    let problem: string | undefined;
    for (let passedMs = 0; passedMs < settleMsMax; passedMs += lookEveryMs) {
      await timeline.advanceTo(healedMs + passedMs);
      problem = await this.#problem();
      if (problem !== undefined) continue;
      await timeline.advanceTo(healedMs + passedMs + staysMs);
      problem = await this.#problem();
      if (problem !== undefined) continue;
      await this.#keepPromises();
      return passedMs;
    }
    this.#witness.accuse('it does not settle', problem ?? '');
    await this.#keepPromises();
    return settleMsMax;
  }

  async #problem(): Promise<string | undefined> {
    const { documents: desired } = await desiredPods(this.#store).list();
    const { documents: statuses } = await podStatuses(this.#store).list();
    const observed = this.#place.keys().map((key) => [key, this.#place.observe(key)] as const);
    return unsettled({
      desired: new Map(desired.map(({ id, value }) => [id, value])),
      statuses: new Map(statuses.map(({ id, value }) => [id, value])),
      observed: new Map(observed.flatMap(([key, seen]) => (seen ? [[key, seen] as const] : []))),
      tables: this.#gateways.flatMap(({ name, current }) =>
        [...(current?.running.tables() ?? [undefined])].map((table) => [name, table] as const),
      ),
      nowMs: this.#clock.nowMs(),
    });
  }

  async #keepPromises(): Promise<void> {
    const { documents } = await desiredPods(this.#store).list();
    const broken = this.#promises.broken(new Map(documents.map(({ id, value }) => [id, value])));
    if (broken !== undefined) this.#witness.accuse('an accepted write was lost', broken);
  }

  /** Programs may complain of what is away, and of nothing else. */
  #log(): Log {
    const note = (fields: object, message: string): void => {
      const { key = '', error } = Object(fields);
      this.#timeline.note(`${message} ${key} ${error === undefined ? '' : nameOf(error)}`);
      if (error instanceof Error && !isExpected(error)) this.failed(error);
    };
    return { debug: () => undefined, info: note, warn: note, error: note };
  }
}

const expected = new Set([
  'StoreUnavailable',
  'WriteOutcomeUnknown',
  'BusUnavailable',
  'RuntimeUnavailable',
  'NotLeading',
  'WriteConflict',
  'FencedOff',
  'RunInProgress',
]);

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : String(error));

const isExpected = (error: unknown): boolean => expected.has(nameOf(error));

const textOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);
