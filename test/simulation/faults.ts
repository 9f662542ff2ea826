import type { Controller } from '../../controller/controller.ts';
import type { SimulatedGateway } from './gateway.ts';
import type { Life } from './life.ts';
import type { Network, Service } from './network.ts';
import { services } from './network.ts';
import type { PodPlace } from './pod-place.ts';
import { keyOf } from './pods.ts';
import type { Program } from './program.ts';
import type { SeededRandom } from './random.ts';
import type { Timeline } from './timeline.ts';
import { operationsMs, podsCount } from './workload.ts';

/** Each seed has so many. */
const faultsCount = { least: 10, most: 18 } as const;
const firstFaultMs = 3_000;
/** Faults end then, and everything is up again. */
export const healedMs = operationsMs + 12_000;
/** A program that does not end on SIGTERM is killed. */
const stopMsMax = 5_000;

export interface Faulty {
  readonly timeline: Timeline;
  readonly random: SeededRandom;
  readonly network: Network;
  readonly place: PodPlace;
  readonly controllers: readonly Program<Controller>[];
  readonly gateways: readonly Program<SimulatedGateway>[];
  readonly apis: readonly Program<Life>[];
}

type Fault = (world: Faulty, forMs: number) => void;

const crash = (world: Faulty, program: Program<unknown>, forMs: number): void => {
  program.crash();
  world.timeline.after(forMs, () => program.start());
};

const cut = (world: Faulty, program: Program<unknown>, service: Service, forMs: number): void => {
  world.timeline.after(forMs, world.network.cut(program.name, service));
};

const everybody = ({ controllers, gateways, apis }: Faulty): Program<unknown>[] => [
  ...controllers,
  ...gateways,
  ...apis,
];

/** At once, or when it is just in the middle of something. */
function atSomeMoment(world: Faulty, program: Program<unknown>, run: () => void): void {
  const { random, network } = world;
  if (random.chance(0.4)) run();
  else network.whenNextAsked(program.name, random.pick(services), run);
}

const faults: Readonly<Record<string, Fault>> = {
  'a controller is killed': (world, forMs) => {
    const program = world.random.pick(world.controllers);
    atSomeMoment(world, program, () => crash(world, program, forMs));
  },
  'a controller is paused': (world, forMs) => {
    const program = world.random.pick(world.controllers);
    atSomeMoment(world, program, () => {
      const life = program.current?.life;
      life?.pause();
      world.timeline.after(forMs * 1.5, () => life?.resume());
    });
  },
  'a controller is restarted': (world, forMs) => {
    const program = world.random.pick(world.controllers);
    const { current } = program;
    if (!current) return;
    const end = (): void => {
      if (program.current === current) crash(world, program, forMs / 4);
    };
    void current.running.stop().then(end);
    world.timeline.after(stopMsMax, end);
  },
  'a gateway is killed': (world, forMs) => crash(world, world.random.pick(world.gateways), forMs),
  'a gateway is paused': (world, forMs) => {
    const gateway = world.random.pick(world.gateways).current?.running;
    gateway?.pause(world.random.chance(0.5));
    world.timeline.after(forMs, () => gateway?.resume());
  },
  'a worker dies': (world) =>
    world.random.pick(world.gateways).current?.running.crashWorker(world.random.whole(0, 1)),
  'an api is killed': (world, forMs) => crash(world, world.random.pick(world.apis), forMs / 4),
  'a controller is cut off the store': (world, forMs) =>
    cut(world, world.random.pick(world.controllers), 'store', forMs * 1.5),
  'a controller is cut off the bus': (world, forMs) =>
    cut(world, world.random.pick(world.controllers), 'bus', forMs),
  'a controller is cut off the pods': (world, forMs) =>
    cut(world, world.random.pick(world.controllers), 'runtime', forMs),
  'a gateway is cut off the bus': (world, forMs) =>
    cut(world, world.random.pick(world.gateways), 'bus', forMs),
  'the store is away': (world, forMs) => {
    for (const program of everybody(world)) cut(world, program, 'store', forMs / 2);
  },
  'the bus is away': (world, forMs) => {
    for (const program of everybody(world)) cut(world, program, 'bus', forMs / 2);
  },
  'pods fail': (world) => {
    for (let number = 0; number < podsCount; number += 1)
      if (world.random.chance(0.15))
        world.place.fail(keyOf(`pod${number}`), world.random.chance(0.5));
  },
};

/** Lets faults happen until `healedMs`, by chance of the seed; returns how many. */
export function plotFaults(world: Faulty): number {
  const { timeline, random } = world;
  const kinds = Object.keys(faults);
  const count = random.whole(faultsCount.least, faultsCount.most);
  for (let one = 0; one < count; one += 1) {
    const kind = random.pick(kinds);
    const forMs = random.chance(0.5) ? random.between(100, 2_000) : random.between(2_000, 20_000);
    timeline.after(random.between(firstFaultMs, operationsMs + 5_000), () => {
      timeline.note(`FAULT ${kind}`);
      faults[kind]?.(world, forMs);
    });
  }
  timeline.after(healedMs, () => heal(world));
  return count;
}

function heal(world: Faulty): void {
  world.timeline.note('HEALED');
  world.network.heal();
  world.place.heal();
  for (const program of everybody(world)) program.start();
  for (const { current } of world.controllers) current?.life.resume();
  for (const { current } of world.gateways) current?.running.resume();
}
