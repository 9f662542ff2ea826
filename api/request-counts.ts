import { createHash } from 'node:crypto';
import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit';
import { z } from 'zod';
import type { Clock } from '#contracts/clock.ts';
import type { Store } from '#contracts/store.ts';
import { collection } from '#contracts/store.ts';
import { retrying } from './retrying.ts';

/**
 * How often somebody asked in a window of time. What users may ask is counted over all apis: each
 * takes a share of the limit from the store and counts that by itself, so that no more than the limit
 * is answered, and few requests wait for the store.
 */

// With several apis at most a twentieth of a user's limit lies unused in each.
const sharesOfLimit = 20;
// What an api took is lost with it, so one that has just started, and may start again, takes little.
const firstSharesOfLimit = 200;
// Who meets a conflict knows that another took a share, of which there are not many more than that.
const conflictsMax = 4 * sharesOfLimit;
// Who came longest ago is forgotten, and begins anew.
const keysMax = 10_000;

const zTaken = z.strictObject({ count: z.int(), untilMs: z.number() });
const takenShares = (store: Store) => collection(store, 'request-counts', zTaken);
const idOf = (key: string): string => createHash('sha256').update(key).digest('base64url');

interface CountPorts {
  readonly store: Store;
  readonly clock: Clock;
}

interface Window {
  readonly untilMs: number;
  /** Requests so far, as the caller is told. */
  count: number;
  /** So many may be answered before the store is asked again. */
  granted: number;
  /** What was taken last; the next is twice as much, up to the largest there is. */
  readonly share: number;
  /** The limit is used up by all of us. */
  over: boolean;
}

interface Terms {
  readonly windowMs: number;
  readonly max: number;
}

/** A request among those of its window: by which number, and how long the window lasts. */
interface Counted {
  readonly current: number;
  readonly ttl: number;
}

/** Counts of this api alone. */
class OwnCounts {
  readonly #windows = new Map<string, Window>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  window(key: string): Window | undefined {
    const window = this.#windows.get(key);
    return window && window.untilMs > this.#clock.nowMs() ? window : undefined;
  }

  begin(key: string, window: Window): void {
    this.#windows.delete(key);
    this.#windows.set(key, window);
    const [oldest] = this.#windows.keys();
    if (this.#windows.size > keysMax && oldest !== undefined) this.#windows.delete(oldest);
  }

  count(key: string, { windowMs }: Terms): Counted {
    let window = this.window(key);
    if (!window) {
      const untilMs = this.#clock.nowMs() + windowMs;
      window = { untilMs, count: 0, granted: Infinity, share: 0, over: false };
      this.begin(key, window);
    }
    return this.next(window);
  }

  next(window: Window): Counted {
    window.count += 1;
    return { current: window.count, ttl: window.untilMs - this.#clock.nowMs() };
  }
}

/** Counts of all apis together. */
export class SharedCounts {
  readonly #ports: CountPorts;
  readonly #own: OwnCounts;
  readonly #asking = new Map<string, Promise<void>>();

  constructor(ports: CountPorts) {
    this.#ports = ports;
    this.#own = new OwnCounts(ports.clock);
  }

  /** Counts a request; `current` is beyond `max` when all apis together have answered so many. */
  async count(key: string, terms: Terms): Promise<Counted> {
    for (;;) {
      const window = this.#own.window(key);
      if (window?.over || (window && window.granted > 0)) {
        window.granted -= 1;
        const counted = this.#own.next(window);
        return window.over ? { ...counted, current: terms.max + 1 } : counted;
      }
      let asking = this.#asking.get(key);
      if (!asking) {
        asking = this.#ask(key, terms).finally(() => this.#asking.delete(key));
        this.#asking.set(key, asking);
      }
      await asking;
    }
  }

  /** Takes a further share. While the store is away everybody has what they ask for. */
  async #ask(key: string, terms: Terms): Promise<void> {
    const { store, clock } = this.#ports;
    const { max } = terms;
    const before = this.#own.window(key)?.share ?? max / firstSharesOfLimit / 2;
    const share = Math.max(1, Math.floor(Math.min(before * 2, max / sharesOfLimit)));
    try {
      await retrying(async () => {
        const stored = await takenShares(store).get(idOf(key));
        const nowMs = clock.nowMs();
        const standing = stored && stored.value.untilMs > nowMs ? stored.value : undefined;
        const taken = standing?.count ?? 0;
        const untilMs = standing?.untilMs ?? nowMs + terms.windowMs;
        const granted = Math.min(share, max - taken);
        if (granted > 0) {
          const expected = stored ? { version: stored.version } : ('absent' as const);
          await takenShares(store).put(idOf(key), { count: taken + granted, untilMs }, expected);
        }
        this.#own.begin(key, { untilMs, count: taken, granted, share, over: granted <= 0 });
      }, conflictsMax);
    } catch {
      const untilMs = clock.nowMs() + terms.windowMs / sharesOfLimit;
      this.#own.begin(key, { untilMs, count: 0, granted: share, share, over: false });
    }
  }
}

/** Where the rate limiter counts: users over all apis, everything else here. */
export function countingStore(ports: CountPorts): FastifyRateLimitStoreCtor {
  const shared = new SharedCounts(ports);
  return class Counting implements FastifyRateLimitStore {
    readonly #own = new OwnCounts(ports.clock);
    readonly #shares: boolean;

    constructor(_options: unknown, shares = true) {
      this.#shares = shares;
    }

    incr(key: string, done: Done, windowMs: number, max: number): void {
      if (!this.#shares || !key.startsWith(userPrefix)) {
        done(null, this.#own.count(key, { windowMs, max }));
        return;
      }
      void answer(shared.count(key, { windowMs, max }), done);
    }

    /** A limit of one route's own protects this process, whose time it is about. */
    child(): Counting {
      return new Counting(undefined, false);
    }
  };
}

type Done = (error: Error | null, counted?: Counted) => void;

async function answer(counting: Promise<Counted>, done: Done): Promise<void> {
  let counted: Counted;
  try {
    counted = await counting;
  } catch (error) {
    done(error instanceof Error ? error : new Error(String(error)));
    return;
  }
  done(null, counted);
}

/** What the key of a user begins with. */
export const userPrefix = 'user ';

/** Forgets windows that are over. */
export async function sweepCounts({ store, clock }: CountPorts): Promise<void> {
  const { documents } = await takenShares(store).list();
  for (const { id, value, version } of documents)
    if (value.untilMs <= clock.nowMs())
      await takenShares(store)
        .remove(id, { version })
        .catch(() => undefined);
}
