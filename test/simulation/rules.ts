import type { PodStatus } from '#contracts/pod.ts';
import type { GatewayAck } from '#contracts/route.ts';
import type { RunSpec } from '../../controller/runtime/runtime.ts';
import type { BusServer } from './bus-server.ts';
import type { SimulatedGateway } from './gateway.ts';
import type { PodPlace } from './pod-place.ts';
import { hostOf, podIdOf } from './pods.ts';
import type { Witness } from './witness.ts';

/** How long a pod outlives its route for the sake of a gateway that does not answer. */
const withdrawMs = 1_000;

interface Surroundings {
  place(this: void): PodPlace;
  /** Who holds the lease of controllers. */
  holder(this: void): string | undefined;
  /** The gateway whose life has this name, if it lives. */
  gateway(this: void, name: string): SimulatedGateway | undefined;
}

/** What must hold of every step that a controller takes, at the moment it decides on it. */
export class Rules {
  readonly #witness: Witness;
  readonly #server: BusServer;
  readonly #surroundings: Surroundings;
  readonly #starts = new Set<string>();
  readonly #announced = new Set<string>();

  constructor(witness: Witness, server: BusServer, surroundings: Surroundings) {
    this.#witness = witness;
    this.#server = server;
    this.#surroundings = surroundings;
  }

  started({ key, podCreatedAtMs, run }: RunSpec): void {
    const name = `${key} of ${podCreatedAtMs} run ${run}`;
    if (this.#starts.has(name)) this.#witness.accuse('a run was started twice', name);
    this.#starts.add(name);
  }

  /** A controller asks where pods run for something, which knows no fence: it leads. */
  acting(controller: string, what: string): void {
    const holder = this.#surroundings.holder();
    if (holder !== controller)
      this.#witness.accuse(
        'somebody acted without the lease',
        `${controller}, while ${holder ?? 'nobody'} held it: ${what}`,
      );
  }

  /** A pod is called AVAILABLE: every gateway that the controller takes for live has served it. */
  announcing(acks: readonly GatewayAck[], key: string, { run }: PodStatus): void {
    const address = this.#surroundings.place().addressOf(key, run, 'default');
    const name = `${key} run ${run} at ${address ?? 'nowhere'}`;
    if (this.#announced.has(name)) return;
    this.#announced.add(name);
    const host = hostOf(podIdOf(key), 'default');
    const served = (gateway: string): boolean =>
      address !== undefined &&
      (this.#surroundings.gateway(gateway)?.hasServed(host, address) ?? true);
    const without = acks.filter(({ gateway }) => !served(gateway));
    if (acks.length === 0 || without.length > 0)
      this.#witness.accuse(
        'available without a gateway that serves it',
        `${name}: ${without.map(({ gateway }) => gateway).join()}`,
      );
  }

  /** A run is asked to end: its routes are out, at live gateways too, or they had their time. */
  stopping(acks: readonly GatewayAck[], key: string, run: number): void {
    const place = this.#surroundings.place();
    const seen = place.observe(key);
    if (!seen || seen.run !== run || seen.end) return;
    for (const network of Object.keys(seen.addresses)) {
      const address = place.addressOf(key, run, network);
      const host = hostOf(podIdOf(key), network);
      if (address !== undefined) this.#mustBeOut(acks, host, address);
    }
  }

  #mustBeOut(acks: readonly GatewayAck[], host: string, address: string): void {
    const withdrawnMs = this.#server.withdrawnForMs(host, address);
    if (withdrawnMs !== undefined && withdrawnMs >= withdrawMs) return;
    const late = acks.filter(({ gateway }) =>
      this.#surroundings.gateway(gateway)?.leadsTo(host, address),
    );
    if (withdrawnMs === undefined || late.length > 0)
      this.#witness.accuse(
        'a pod was stopped before its route was out',
        `${host} ${address} out for ${withdrawnMs} ms: ${late.map(({ gateway }) => gateway).join()}`,
      );
  }
}
