import { MemoryLogExchange } from '#adapters/memory/log-exchange.ts';
import type { Leases } from '#contracts/leases.ts';
import type { Log } from '#contracts/log.ts';
import type { PodStatus } from '#contracts/pod.ts';
import { zPodStatus } from '#contracts/pod.ts';
import type { Expectation, Fence, Store } from '#contracts/store.ts';
import type { Controller } from '../../controller/controller.ts';
import { startController } from '../../controller/controller.ts';
import type { BusServer } from './bus-server.ts';
import { FaultyBus } from './faulty-bus.ts';
import { FaultyRuntime } from './faulty-runtime.ts';
import { FaultyLeases, FaultyStore } from './faulty-store.ts';
import type { Life } from './life.ts';
import type { Network } from './network.ts';
import type { Plant } from './plants.ts';
import type { PodPlace } from './pod-place.ts';
import { openSealer, site } from './pods.ts';
import type { SeededRandom } from './random.ts';
import type { Rules } from './rules.ts';

export interface ControllerWorld {
  readonly store: Store;
  readonly leases: Leases;
  readonly server: BusServer;
  readonly place: PodPlace;
  readonly network: Network;
  readonly random: SeededRandom;
  readonly log: Log;
  readonly plant: Plant;
  readonly rules: Rules;
}

/** One life of the real controller, with everything it reaches on the other side of a network. */
export function beginController(life: Life, world: ControllerWorld): Controller {
  const { network, random, log, plant } = world;
  const remote = new FaultyBus(world.server, life, network);
  remote.hearAcks();
  const bus = plant.controllerBus?.(remote, life.clock) ?? remote;
  const announcing = (key: string, status: PodStatus): void =>
    world.rules.announcing(remote.acks(), key, status);
  return startController(
    {
      store: new ControllerStore(world.store, life, network, announcing),
      routes: bus,
      leases: new FaultyLeases(world.leases, life, network),
      logs: new MemoryLogExchange(),
      sealer: openSealer,
      runtime: new FaultyRuntime(world.place, life, network, {
        acting: (what) => world.rules.acting(life.name, what),
        stopping: (key, run) => world.rules.stopping(remote.acks(), key, run),
      }),
      clock: plant.controllerClock?.(life.clock) ?? life.clock,
      random,
      log,
    },
    { site, holder: life.name, registries: new Map() },
  );
}

/** Shows which statuses a controller writes, at the moment it decided so. */
class ControllerStore extends FaultyStore {
  readonly #announcing: (key: string, status: PodStatus) => void;

  constructor(
    store: Store,
    life: Life,
    network: Network,
    announcing: (key: string, status: PodStatus) => void,
  ) {
    super(store, life, network);
    this.#announcing = announcing;
  }

  override put(
    collection: string,
    document: { readonly id: string; readonly value: unknown },
    expect: Expectation,
    fence?: Fence,
  ): Promise<number> {
    if (collection === 'pod-status' && Object(document.value).state === 'AVAILABLE')
      this.#announcing(document.id, zPodStatus.parse(document.value));
    return super.put(collection, document, expect, fence);
  }
}
