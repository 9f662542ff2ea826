import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '#contracts/clock.ts';
import type { Route, RouteEvent } from '#contracts/route.ts';
import type { TableChange, TableEvent } from './route-feed.ts';
import { changeFor } from './route-feed.ts';
import { RouteLedger } from './route-ledger.ts';
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
  /** For how long nobody has stood by the table: 0 while the bus is followed and the controller beats. */
  readonly ageMs: number;
  readonly changedAtMs: number | undefined;
}

/** What hearing an event comes to. */
export type Heard =
  | { readonly kind: 'changed'; readonly change: TableChange }
  | { readonly kind: 'nothing' }
  /** Something is missing: the bus must be followed anew. */
  | { readonly kind: 'anew'; readonly why: string };

const nothing: Heard = { kind: 'nothing' };
/** Five beats that did not come: nobody stands by the table any more. */
const silentMs = 5_000;

const rememberedMax = 1_000; // for each of drops and refusals: for people who ask what happened

/** The parent's routes: what they are, since when, and who vouches for them. */
export class RouteRegister {
  readonly #clock: Clock;
  readonly #table: RouteTable;
  readonly #changed = new Map<string, Since>();
  readonly #dropped = new Map<string, Since>();
  readonly #quarantined = new Map<string, string>();
  readonly #ledger = new RouteLedger();
  readonly #anew = new Map<string, number>();
  #source: Freshness['source'] = 'none';
  #following = false;
  #contactAtMs: number;
  /** Monotonic. */
  #heardAtMs: number;
  #changedAtMs: number | undefined;

  constructor(clock: Clock, table: RouteTable) {
    this.#clock = clock;
    this.#table = table;
    this.#contactAtMs = clock.nowMs();
    this.#heardAtMs = clock.monotonicMs();
  }

  get hasTables(): boolean {
    return this.#source !== 'none';
  }

  /** Of the table, in the bus's epoch; -1 before the first, 0 of one from disk. */
  get revision(): number {
    return this.#source === 'disk' ? 0 : this.#ledger.revision;
  }

  /** Undefined before the bus told a table. */
  get epoch(): string | undefined {
    return this.#ledger.epoch;
  }

  /** How often the bus had to be followed anew, by why. */
  get refollowed(): ReadonlyMap<string, number> {
    return this.#anew;
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
    const silent = this.#clock.monotonicMs() - this.#heardAtMs > silentMs;
    const vouched = this.#source === 'bus' && this.#following && !silent;
    return {
      source: this.#source,
      ageMs: vouched ? 0 : Math.max(0, this.#clock.nowMs() - this.#contactAtMs),
      changedAtMs: this.#changedAtMs,
    };
  }

  /** Whether the bus is followed now; when that ends, the table begins to age. */
  followed(following: boolean): void {
    if (following && !this.#following) this.#heardAtMs = this.#clock.monotonicMs();
    this.#following = following;
  }

  /** Takes in what the bus says. What is older than what was heard changes nothing. */
  heard(event: RouteEvent): Heard {
    this.#heardAtMs = this.#clock.monotonicMs();
    if (this.#source === 'bus') this.#contactAtMs = this.#clock.nowMs();
    const judgement = this.#ledger.judge(event, this.#heardAtMs);
    if (judgement === 'known') return nothing;
    if (judgement !== 'new') return this.anew(judgement.anew);
    return event.kind === 'beat' ? nothing : this.#takeIn(event);
  }

  /** Counts and says that the bus must be followed anew. */
  anew(why: string): Extract<Heard, { kind: 'anew' }> {
    this.#anew.set(why, (this.#anew.get(why) ?? 0) + 1);
    return { kind: 'anew', why };
  }

  /** Takes the tables of the last run, saved at `savedAtMs`. */
  restore(routes: readonly Route[], savedAtMs: number): void {
    this.#source = 'disk';
    this.#contactAtMs = savedAtMs;
    this.#apply(routes, [], 0);
  }

  #takeIn(event: TableEvent): Heard {
    const change = changeFor(event, this.#table.routes, this.#ledger);
    if (change === 'refused')
      return this.anew('a snapshot without a fifth of the routes is refused');
    for (const { host, reason } of change.quarantined) remember(this.#quarantined, host, reason);
    this.#source = 'bus';
    this.#contactAtMs = this.#clock.nowMs();
    this.#note(event);
    this.#apply(change.puts, change.drops, change.revision);
    return { kind: 'changed', change };
  }

  /** Enters what was heard, whether it validated or not. */
  #note(event: TableEvent): void {
    const ledger = this.#ledger;
    if (event.kind === 'snapshot') {
      const { epoch, revision, routes } = event;
      ledger.begin(epoch, revision);
      for (const host of ledger.hosts())
        if (!routes.has(host) && ledger.isNewer(epoch, host, revision)) ledger.drop(host, revision);
      for (const [host, told] of routes)
        if (ledger.isNewer(epoch, host, told.revision)) ledger.put(host, told.revision);
      return;
    }
    if (event.kind === 'put') ledger.put(event.host, event.revision);
    if (event.kind === 'drop') ledger.drop(event.host, event.revision);
    ledger.advance(event.revision);
  }

  #apply(puts: readonly Route[], drops: readonly string[], revision: number): void {
    const since = { revision, atMs: this.#clock.nowMs() };
    if (puts.length + drops.length > 0 || this.#changedAtMs === undefined)
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
