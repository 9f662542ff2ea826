import type { Clock } from '#contracts/clock.ts';
import type { Log } from '#contracts/log.ts';
import type { Random } from '#contracts/random.ts';
import type { Address, Route, RouteBus } from '#contracts/route.ts';
import { AppliedTable } from './applied-table.ts';
import type { ToWorker } from './messages.ts';
import { routeMessages } from './messages.ts';
import type { TableChange } from './route-feed.ts';
import { followRoutes } from './route-following.ts';
import { RouteRegister } from './route-register.ts';
import { RouteTable } from './route-table.ts';

interface ServedRoutesPorts {
  readonly routes: RouteBus;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Undefined while there are none. */
  workers(this: void): { broadcast(message: ToWorker): unknown; readonly step: number } | undefined;
  /** The table is another now, and workers were told. */
  changed(this: void, change: Pick<TableChange, 'puts' | 'drops'>): void;
}

/** What one gateway makes of the bus: every worker is told, and what all of them apply is acknowledged. */
export class ServedRoutes {
  readonly table: RouteTable;
  readonly register: RouteRegister;
  readonly #ports: ServedRoutesPorts;
  /** Its name on the bus. */
  readonly #gateway: string;
  readonly #applied = new AppliedTable();

  constructor(
    ports: ServedRoutesPorts,
    { gateway, domain, api }: { gateway: string; domain: string; api: Address },
  ) {
    this.#ports = ports;
    this.#gateway = gateway;
    this.table = new RouteTable(domain, api);
    this.register = new RouteRegister(ports.clock, this.table);
  }

  /** Of the table that all workers apply; -1: of none from the bus. */
  get appliedRevision(): number {
    return this.#applied.revision;
  }

  /** Until `signal` aborts. */
  follow(signal: AbortSignal): Promise<void> {
    const { register } = this;
    const changed = (change: TableChange): void => {
      for (const bad of change.quarantined) this.#ports.log.error(bad, 'a route is quarantined');
      this.#tell(change);
    };
    return followRoutes({ ...this.#ports, register, gateway: this.#gateway, changed }, signal);
  }

  /** Serves the routes of the last run, saved at `savedAtMs`. */
  restore(routes: readonly Route[], savedAtMs: number): void {
    this.register.restore(routes, savedAtMs);
    this.#tell({ puts: routes, drops: [] });
  }

  /** What a new worker has to know of routes before it serves. */
  *greeting(): Generator<ToWorker> {
    const { hasTables, routes } = this.register;
    if (hasTables) yield* routeMessages([...routes.values()], [], this.#applied.step);
  }

  /** Workers have taken steps, were replaced or went. */
  workersChanged(): void {
    const state = this.#applied.taken(this.#ports.workers()?.step ?? -1);
    if (state) this.#ports.routes.acknowledge({ gateway: this.#gateway, ...state });
  }

  #tell(change: Pick<TableChange, 'puts' | 'drops'>): void {
    const { epoch, revision } = this.register;
    const step = this.#applied.told(epoch, revision);
    for (const message of routeMessages(change.puts, change.drops, step))
      this.#ports.workers()?.broadcast(message);
    this.#ports.changed(change);
  }
}
