import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#contracts/clock.ts';
import type { Route, RouteEvent } from '#contracts/route.ts';
import type { TableChange } from './route-feed.ts';
import { changeFor } from './route-feed.ts';
import type { RouteTable } from './route-table.ts';

/** When a host's route became what it is. */
interface Since {
  readonly revision: number;
  readonly atMs: number;
}

/** What is remembered of a host beside its route. */
export interface RouteStory {
  /** Undefined: it has none from the controller. */
  readonly changed: Since | undefined;
  /** It had one until then. Only the newest drops are remembered. */
  readonly dropped: Since | undefined;
  /** Why the newest value for it was not taken. */
  readonly quarantined: string | undefined;
}

export interface Freshness {
  /** Who told of the table: nobody yet, the file of the last run, or the bus. */
  readonly source: 'none' | 'disk' | 'bus';
  /** For how long nobody has stood by the table: 0 while the bus is followed. */
  readonly ageMs: number;
  readonly changedAtMs: number | undefined;
}

const rememberedMax = 1_000; // for each of drops and refusals: for people who ask what happened

/** The parent's routes: what they are, since when, and who vouches for them. */
export class RouteRegister {
  readonly #clock: Clock;
  readonly #table: RouteTable;
  readonly #changed = new Map<string, Since>();
  readonly #dropped = new Map<string, Since>();
  readonly #quarantined = new Map<string, string>();
  #revision = -1;
  #source: Freshness['source'] = 'none';
  #following = false;
  #contactAtMs: number;
  #changedAtMs: number | undefined;

  constructor(clock: Clock, table: RouteTable) {
    this.#clock = clock;
    this.#table = table;
    this.#contactAtMs = clock.nowMs();
  }

  get hasTables(): boolean {
    return this.#source !== 'none';
  }

  get revision(): number {
    return this.#revision;
  }

  get routes(): ReadonlyMap<string, Route> {
    return this.#table.routes;
  }

  /** How many hosts keep what they have, because the newest value for them was refused. */
  get quarantined(): number {
    return this.#quarantined.size;
  }

  find(host: string): Route | undefined {
    return this.#table.find(host);
  }

  isApi(host: string): boolean {
    return this.#table.isApi(host);
  }

  isForPods(host: string): boolean {
    return this.#table.isForPods(host);
  }

  story(host: string): RouteStory {
    return {
      changed: this.#changed.get(host),
      dropped: this.#dropped.get(host),
      quarantined: this.#quarantined.get(host),
    };
  }

  freshness(): Freshness {
    const vouched = this.#source === 'bus' && this.#following;
    return {
      source: this.#source,
      ageMs: vouched ? 0 : Math.max(0, this.#clock.nowMs() - this.#contactAtMs),
      changedAtMs: this.#changedAtMs,
    };
  }

  /** Whether the bus is followed now; when that ends, the table begins to age. */
  followed(following: boolean): void {
    if (this.#following && !following && this.#source === 'bus') {
      this.#contactAtMs = this.#clock.nowMs();
    }
    this.#following = following;
  }

  /** Takes in what the bus says; returns what changes, or 'refused' (see `changeFor`). */
  heard(event: RouteEvent): TableChange | 'refused' {
    const change = changeFor(event, this.#table.routes);
    if (change === 'refused') return change;
    for (const { host, reason } of change.quarantined) remember(this.#quarantined, host, reason);
    this.#source = 'bus';
    this.#apply(change.puts, change.drops, change.revision);
    return change;
  }

  /** Takes the tables of the last run, saved at `savedAtMs`. */
  restore(routes: readonly Route[], savedAtMs: number): void {
    this.#source = 'disk';
    this.#contactAtMs = savedAtMs;
    this.#apply(routes, [], 0);
  }

  #apply(puts: readonly Route[], drops: readonly string[], revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
    const since = { revision, atMs: this.#clock.nowMs() };
    this.#changedAtMs = since.atMs;
    for (const host of drops) {
      if (this.#changed.delete(host)) remember(this.#dropped, host, since);
      this.#quarantined.delete(host);
    }
    for (const route of puts) {
      this.#quarantined.delete(route.host);
      // A snapshot repeats everything: what is as it was did not change now.
      if (isDeepStrictEqual(this.#table.routes.get(route.host), route)) continue;
      this.#changed.set(route.host, since);
      this.#dropped.delete(route.host);
    }
    this.#table.apply({ puts, drops });
    this.#table.complete();
  }
}

/** The newest `rememberedMax` entries. */
function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > rememberedMax && oldest !== undefined) map.delete(oldest);
}
